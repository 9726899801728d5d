"""Both tables."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            "Customer",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=50, unique=True)),
                ("joined", models.DateTimeField(null=True)),
                ("balance", models.DecimalField(max_digits=8, decimal_places=2, default=0)),
                ("notes", models.JSONField(default=dict)),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("item", models.CharField(max_length=20)),
                ("customer", models.ForeignKey("Customer", django.db.models.deletion.CASCADE, related_name="orders")),
            ],
        ),
    ]
