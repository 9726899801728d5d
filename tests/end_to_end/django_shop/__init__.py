"""A Django application of two models and two migrations, for django_orm_story.py."""
