# Makes a cluster file with the address of this container where there is none, and serves: as the official image does.
set -euo pipefail
file=${FDB_CLUSTER_FILE:-/var/fdb/fdb.cluster}
address=$(hostname --ip-address | cut -d' ' -f1):4500
[ -s "$file" ] || echo "docker:docker@$address" > "$file"
exec fdbserver --cluster-file "$file" --public-address "$address" --listen-address "0.0.0.0:4500" \
    --datadir /var/fdb/data --logdir /var/fdb/logs
