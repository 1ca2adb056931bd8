"""The admin API (``/minio/admin/v3``) that ``mc admin`` speaks. Authentication is done by who calls it."""
