-- wrk script: requests the paths of the file BENCH_PATHS one after the other and prints the figures
-- as one line of JSON. Threads share no path where there are enough: this service answers equal
-- requests that are under way by one query, which would flatter it where tiles are few.
local paths = {}
for line in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = line end
local threads = 0

function setup(thread)
  thread:set("turn", threads)
  threads = threads + 1
end

function init()
  requests = {}
  local headers = { ["Accept-Encoding"] = os.getenv("BENCH_ENCODING") or "identity" }
  local share = #paths >= 8 and tonumber(os.getenv("BENCH_THREADS")) or 1
  for i, line in ipairs(paths) do
    local path, tag = line:match("^(%S+)%s?(.*)$")
    if tag ~= "" then headers["If-None-Match"] = tag end
    if share == 1 or i % share == turn then
      requests[#requests + 1] = wrk.format("GET", path, headers)
    end
  end
  at = 0
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"seconds":%.3f,"requests":%d,"bytes":%d,"p50":%.3f,"p95":%.3f,"p99":%.3f,"errors":%d}\n',
    summary.duration / 1e6, summary.requests, summary.bytes, latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    e.status + e.connect + e.read + e.write + e.timeout))
end
