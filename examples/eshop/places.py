"""What the eshop has on its services: two tables and a topic, which one group reads."""

TOPIC = "eshop-topic"
GROUP = "eshop-demo-app"
TABLES = {"eshop_payments": "cents int", "eshop_emails": "address text"}
