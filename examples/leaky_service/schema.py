"""The service's table and the one query it asks."""

# The large customer is what the query was never tried with.
LARGE_CUSTOMER = 1
_LARGE_CUSTOMER_ORDERS = 8000
_SMALL_CUSTOMERS = range(2, 51)
_SMALL_CUSTOMER_ORDERS = 4

# A running total by correlated subquery: it reads the whole table once for every
# order of the customer. Nobody notices with four orders; with thousands of them
# the statement timeout cancels it.
ORDERS_OF_CUSTOMER = """
    SELECT o.id, o.placed, o.amount,
           (SELECT sum(earlier.amount)
              FROM customer_order earlier
             WHERE earlier.customer = o.customer
               AND earlier.placed <= o.placed) AS running_total
      FROM customer_order o
     WHERE o.customer = %s
     ORDER BY o.placed
"""

_CREATE = """
    CREATE TABLE IF NOT EXISTS customer_order (
        id bigserial PRIMARY KEY,
        customer integer NOT NULL,
        placed timestamptz NOT NULL,
        amount numeric(12, 2) NOT NULL
    )
"""
_FILL = """
    INSERT INTO customer_order (customer, placed, amount)
    SELECT customer,
           timestamptz '2025-01-01 00:00:00+00' + number * interval '17 minutes',
           10 + (number * 7919 + customer * 104729) %% 100000 / 100.0
      FROM unnest(%s::int[], %s::int[]) AS customers (customer, orders),
           generate_series(1, orders) AS number
"""


def prepare(connection):
    """Create the table and its rows where they are missing.

    :param connection: an open psycopg2 connection; committed and left open
    :return: number of rows created, 0 when the table was already filled
    :rtype: int
    """
    orders_by_customer = {LARGE_CUSTOMER: _LARGE_CUSTOMER_ORDERS}
    orders_by_customer.update(dict.fromkeys(_SMALL_CUSTOMERS, _SMALL_CUSTOMER_ORDERS))
    with connection, connection.cursor() as cursor:
        # Two services that start at once must not both fill the table.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('leaky_service'))")
        cursor.execute(_CREATE)
        cursor.execute("SELECT EXISTS (SELECT FROM customer_order)")
        if cursor.fetchone()[0]:
            return 0
        cursor.execute(
            _FILL, (list(orders_by_customer), list(orders_by_customer.values()))
        )
        created = cursor.rowcount
        cursor.execute("ANALYZE customer_order")
    return created
