"""A row by Python, an index by SQL, a column made wider."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models


def first(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_shop", "Customer").objects.create(name="first")


def none(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_shop", "Customer").objects.filter(name="first").delete()


class Migration(migrations.Migration):
    dependencies = [("django_shop", "0001_tables")]
    operations = [
        migrations.AlterField("Order", "item", models.CharField(max_length=50)),
        migrations.RunPython(first, none),
        migrations.RunSQL("UPDATE django_shop_customer SET balance = 1 WHERE name = 'first'", migrations.RunSQL.noop),
    ]
