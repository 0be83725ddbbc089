"""Whether a part of Airflow is healthy, as its monitor says: `health.py scheduler`; exit status 0 = yes.

The monitor looks at heartbeats in the database, so a process that hangs is found as well.
"""

import json
import sys
from urllib.request import urlopen

ADDRESS = "http://airflow-apiserver:8080/api/v2/monitor/health"

with urlopen(ADDRESS, timeout=5) as answer:
    health = json.load(answer)
sys.exit(health[sys.argv[1]]["status"] != "healthy")
