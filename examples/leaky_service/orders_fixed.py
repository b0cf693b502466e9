"""Data access: the orders of a customer."""

import logging

import psycopg2
from schema import ORDERS_OF_CUSTOMER

_logger = logging.getLogger("orders")


def find_orders(pool, customer):
    """Return a customer's orders with their running total, oldest first.

    :param pool: a psycopg2 connection pool
    :param int customer: number of the customer
    :return: list of ``(id, placed, amount, running_total)``
    :raise psycopg2.Error: the query failed or was cancelled
    :raise psycopg2.pool.PoolError: every connection of the pool is in use
    """
    connection = pool.getconn()
    try:
        with connection.cursor() as cursor:
            cursor.execute(ORDERS_OF_CUSTOMER, (customer,))
            orders = cursor.fetchall()
        return orders
    except psycopg2.Error:
        _logger.exception("orders of customer %s cannot be read", customer)
        raise
    finally:
        pool.putconn(connection)
