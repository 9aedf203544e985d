from board import views
from django.urls import path

urlpatterns = [path("", views.index), path("upload", views.upload)]
