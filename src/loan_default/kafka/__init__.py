"""Topics, events, producers and consumers: on Kafka, and in memory where no broker is configured."""
