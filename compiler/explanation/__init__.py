"""What a finished compile did, as data: the record of every figure, and measurements that explain it."""
