"""What the eshop needs to find where its parts are: two tables and a topic, which one group reads."""

TOPIC = "eshop-topic"
GROUP = "eshop-demo-app"
TABLES = {"eshop_payments": "cents int", "eshop_emails": "address text"}
