"""Deliveries over HTTP: a bureau uploads its files, sees the verdict, takes back its rejects."""
