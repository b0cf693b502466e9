"""What requests and responses of /api/v1 look like, one module per resource.

Pydantic models only, without Odoo: the dispatcher validates requests with them,
the OpenAPI document is made of them, and tests hold the responses against them.
"""
