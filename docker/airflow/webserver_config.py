"""Who signs in to Airflow: accounts of its own database. FAB also knows LDAP, OAuth and REMOTE_USER."""

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
WTF_CSRF_ENABLED = True
AUTH_USER_REGISTRATION = False
