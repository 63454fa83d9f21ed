"""PostgreSQL, Valkey and a mailbox for one machine, so that neither running nor testing needs anything installed."""
