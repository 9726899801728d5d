"""Customers and their orders."""

from __future__ import annotations

from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=50, unique=True)
    joined = models.DateTimeField(null=True)
    balance = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    notes = models.JSONField(default=dict)

    class Meta:
        app_label = "django_shop"


class Order(models.Model):
    item = models.CharField(max_length=50)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")

    class Meta:
        app_label = "django_shop"
