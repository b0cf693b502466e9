# The official Odoo 19 with the Python packages that the add-ons need. The add-ons
# themselves are mounted (docker-compose.yml), so that an update needs no new image.
FROM odoo:19

USER root
COPY requirements.txt /tmp/requirements.txt
# The image's Python belongs to its distribution, which wants to be asked.
RUN pip3 install --no-cache-dir --break-system-packages --requirement /tmp/requirements.txt \
    && rm /tmp/requirements.txt
USER odoo
