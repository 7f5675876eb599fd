"""Making standard addresses (标准地址): codes, numbering rules, quality, life cycle, exchange."""
