"""The API for programs, ``/api/v1``: JSON, described by an OpenAPI document that is made from the table of routes."""
