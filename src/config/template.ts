/** The reference configuration, explained; what is commented out is the default, or an example. */
export const TEMPLATE = `# What ticktape records, and how. Paths are relative to this file.
#
#   ticktape record --config market.toml              until it is stopped
#   ticktape record --config market.toml --dry-run    checks it and says what would be done

# Directories, one a storage node, made if need be; each block is kept on \`redundancy\` of them. Put each on a disk of its own.
storage = ["./tape/d0", "./tape/d1", "./tape/d2", "./tape/d3"]
redundancy = 2

# Records a block. A collector's lane holds eight blocks.
capacity = 10_000

# true (or "adaptive": by what there is time for), "fast", "dense", { zstd = 1 to 19 }, or false (or "off": bit packing alone).
compression = true

# Threads that record, for all feeds together: each feed has one at least, and as many as it has streams or products at most.
collectors = 10

# What is recorded: "market" (trades, quotes and levels of order books), "trade", "quote", "level", "bar", or "raw" (messages as they come).
schema = "market"

# Decimal places of prices and sizes, 0 to 15. With 8, values go up to 90 million. A tape keeps what it was begun with.
# price_scale = 8
# size_scale = 8

# ---- when things go wrong

# What survives: "process" (flushed records survive the death of the process) or "disk" (a power cut, too).
# durability = "process"

# While storage nodes don't keep up and a lane is full: "wait", "drop" (counted) or "throw" (the message is rejected).
# on_full = "wait"

# While fewer storage nodes than \`redundancy\` are healthy: "continue" with fewer copies, or "stop" until there are enough.
# degraded = "continue"

# A storage node that takes longer for a block is set aside.
# write_timeout = "10s"

# Storage nodes whose disks are lost for good: the tape goes on without them.
# lost_storage_nodes = []

# Messages that could not be recorded, and why: a file for each collector in this directory.
# rejected = "./rejected"

# ---- what goes, and when

# Whole segments that are older, or more than so many bytes on all storage nodes together, go.
# retention = { age = "30d", bytes = "100GB" }

# A segment is closed at this size or age. An incomplete block is sealed, and what is stored is synced to the disk, so often.
# segment_bytes = "64MiB"
# segment_max_age = "1h"
# flush_interval = "1s"
# sync_interval = "1s"

# ---- seldom needed

# Directory of the journal, on a fast disk: where records are until their block is stored.
# journal = "./tape/d0/journal"

# "auto" maps the journal's files where that can be done, "mapped" insists on it, "buffered" does without.
# journal_mode = "auto"

# "copied" has segments read, not mapped: where other programs cut them, or on a network drive.
# read = "mapped"

# Bytes of a lane's ring (eight blocks by default), and how many distinct symbols there may be.
# lane_bytes = "8MiB"
# max_symbols = 65_536

# Figures for Prometheus, at http://127.0.0.1:9464/metrics
# metrics = "127.0.0.1:9464"

# ---- feeds: a table [feed.NAME] for each

# Streams are dealt out to the feed's collectors, each with a connection of its own.
[feed.binance]
kind = "websocket"
parser = "binance"
streams = [
  "btcusdt@trade", "btcusdt@bookTicker",
  "ethusdt@trade", "ethusdt@bookTicker",
  "solusdt@trade", "solusdt@bookTicker",
  "xrpusdt@trade", "xrpusdt@bookTicker",
  "bnbusdt@trade", "bnbusdt@bookTicker",
]
# url = "wss://stream.binance.com:9443"
# collectors = 10
# ping_interval = "15s"
# idle_timeout = "60s"
# connect_timeout = "10s"

# [feed.coinbase]
# kind = "websocket"
# parser = "coinbase"
# channels = ["matches", "ticker"]
# products = ["BTC-USD", "ETH-USD"]

# [feed.kraken]
# kind = "websocket"
# parser = "kraken"
# channels = ["trade", "ticker"]
# products = ["BTC/USD", "ETH/USD"]
# subscribe = [{ method = "subscribe", params = { channel = "book", symbol = ["BTC/USD"], depth = 10 } }]

# Records as JSON, an object a line with the schema's fields, from a file or ("-") from stdin; "csv" has the fields' names in its first line.
# [feed.lines]
# kind = "ndjson"
# parser = "fields"
# path = "-"

# A captured feed: a line a message, "<ns> <json>", gzip or not. With more than one collector its lines are dealt out to them.
# [feed.captured]
# kind = "feed-file"
# parser = "binance"
# path = "./feed.txt.gz"

# No exchange, but events much like one's: to try things out.
# [feed.simulator]
# kind = "simulator"
# seed = 1
# records = 1_000_000
`;
