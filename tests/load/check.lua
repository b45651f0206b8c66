-- Posts a check whose text is new each time, so that nothing that remembers texts has seen it.
-- Arguments: path, bearer token, recipe. Prints one line of JSON at the end.

local path, token, recipe
local number = 0
local text = "Thank you for your patience while we looked into the delayed delivery of your two wooden chairs. " ..
  "The parcel left our warehouse in the harbour on Monday and reached the regional depot the day after, where it " ..
  "was held because the label had become unreadable in the rain. Our colleague there has printed a new one, and " ..
  "the driver plans to be at your door on Thursday between nine and noon. Should nobody be at home, the neighbour " ..
  "on the ground floor may sign for it, as you told us in March. You can follow every step on our page at " ..
  "https://shop.example.com/orders and answer to this message or write to service@shop.example.com at any time. " ..
  "For the trouble we have taken the cost of the delivery off your bill; the sum goes back to the card that you " ..
  "used, which takes three to five working days. Please keep the wrapping until you have seen that both chairs " ..
  "are whole, and tell us within two weeks if a leg should wobble. "

function init(arguments)
  path, token, recipe = arguments[1], arguments[2], arguments[3]
  math.randomseed(os.time())
  number = math.random(1, 1000000000)
end

function request()
  number = number + 1
  local body = string.format('{"stage": "response", "recipe": "%s", "content": "%sOrder %d."}', recipe, text, number)
  return wrk.format("POST", path, {
    ["Authorization"] = "Bearer " .. token,
    ["Content-Type"] = "application/json",
  }, body)
end

function done(summary, latency)
  local wrong = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    wrong.status, wrong.connect + wrong.read + wrong.write + wrong.timeout
  ))
end
