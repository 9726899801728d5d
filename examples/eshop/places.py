"""What the eshop needs to find where its parts are: two tables and a topic."""

TOPIC = "eshop-topic"
TABLES = {"eshop_payments": "cents int", "eshop_emails": "address text"}
