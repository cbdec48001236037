// A month's bill of a workload: streamscore/estimate's workload.py, flow.py and bill.py over again, name by name,
// for the page's sliders. Constants and prices come from Python, and tests/integration/test_report_page.py compares the
// two over a grid of workloads: change both or it fails.
"use strict";
function estimator(constants, prices) {
  const named = (all, name) => {
    if (!(name in all)) throw new Error(`streamscore.estimate has no constant ${name} any more`);
    return all[name];
  };
  const C = new Proxy(constants, { get: named });
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

  function profileOf(peak) {
    const hours = [...Array(24).keys()];
    const waves = hours.map((hour) => 0.5 + 0.5 * Math.cos((2 * Math.PI * (hour - 14)) / 24));
    let low = 0, high = 2000;
    for (let turn = 0; turn < 100; turn++) {
      const power = (low + high) / 2;
      const mean = sum(waves.map((wave) => wave ** power)) / 24;
      if (1 / mean > peak) high = power;
      else low = power;
    }
    const shape = waves.map((wave) => wave ** low);
    return shape.map((one) => one / (sum(shape) / 24));
  }

  function expectedUnits(size, block = 1024) {
    const low = (size * (1 - C.SPREAD)) / block, high = (size * (1 + C.SPREAD)) / block;
    if (high <= 1) return 1;
    return Math.max(1, (ceilArea(high) - ceilArea(low)) / (high - low));
  }
  function ceilArea(x) {
    const whole = Math.trunc(x);
    return (whole * (whole + 1)) / 2 + (x - whole) * (whole + 1);
  }
  const distinct = (drawn, among) => among * (1 - (1 - 1 / among) ** drawn);
  const recordsPerEvent = (w) => 1 + w.labels_share;
  const peakOf = (w) => w.events_per_s * Math.max(...w.profile);
  const cpu = (w, ms) => ms * Math.max(1, C.VCPU_MB / w.memory_mb);
  const fill = (w, perLane, gather) => w.batch || Math.min(C.BATCH_SIZE, Math.max(1, perLane * gather));

  function shardsFor(w, rate) {
    const records = (rate * recordsPerEvent(w)) / C.RECORDS_A_SHARD;
    const bytes = w.event_bytes + w.labels_share * w.label_bytes;
    return Math.max(1, Math.ceil(C.HEADROOM * Math.max(records, (rate * bytes) / C.BYTES_A_SHARD)));
  }

  function lanesFor(w) {
    const events = w.shards || shardsFor(w, peakOf(w));
    const peak = flow(w, peakOf(w), { events, state: C.LEAST_PARTITIONS, decisions: C.LEAST_PARTITIONS });
    const partitions = (units) => Math.max(C.LEAST_PARTITIONS, Math.ceil(units / C.UNITS_A_PARTITION));
    return { events, state: partitions(peak.stateUnits), decisions: partitions(peak.decisionUnits) };
  }

  function featuresMs(w, records) {
    const items = [distinct(records, w.entities), distinct(records * (w.entities_per_event - 1), w.shared_entities)];
    const sizes = [C.KEYS_A_ROUND, C.STATEMENTS_A_ROUND];
    const rounds = sum(items.filter((n) => n).flatMap((n) => sizes.map((size) => Math.max(1, n / size))));
    return rounds * w.call_ms + cpu(w, C.INVOCATION_MS + C.FEATURES_CPU_MS * records);
  }

  function scoringMs(w, records, rows) {
    const events = rows / recordsPerEvent(w), labels = rows - events;
    let rounds = Math.max(1, events / C.STATEMENTS_A_ROUND);
    if (labels) rounds += Math.max(1, labels / C.KEYS_A_ROUND) + Math.max(1, labels / C.STATEMENTS_A_ROUND);
    const bus = (C.BUS_MS * events * w.flagged_share) / 10;
    return rounds * w.call_ms + bus + cpu(w, C.INVOCATION_MS + C.SCORING_CPU_MS * Math.max(rows, records));
  }

  const apiMs = (w) => 2 * w.call_ms + cpu(w, C.API_CPU_MS);

  function flow(w, rate, lanes) {
    const records = rate * recordsPerEvent(w), share = w.entities_per_event - 1;
    const filled = fill(w, records / lanes.events, w.fan_out ? C.FAN_OUT_S : C.POLL_S);
    const invocations = records / filled;
    const primary = invocations * distinct(filled, w.entities);
    const shared = invocations * distinct(filled * share, w.shared_entities);
    const features = { perS: invocations, records: filled, ms: featuresMs(w, filled) };
    const images = fill(w, primary / lanes.state, C.TABLE_STREAM_S);
    const scoring = { perS: primary / images, records: images, ms: scoringMs(w, images, (images * records) / primary) };
    const changes = fill(w, records / lanes.decisions, C.TABLE_STREAM_S);
    const monitorMs = cpu(w, C.INVOCATION_MS + C.MONITOR_CPU_MS * changes);
    const monitor = { perS: records / changes, records: changes, ms: monitorMs };
    const stateUnits = primary * expectedUnits(w.state_bytes) + shared * expectedUnits(w.shared_bytes);
    const decisionUnits = records * expectedUnits(w.decision_bytes);
    const used = usage(w, rate, [features, scoring, monitor]);
    used.dynamodb_write_units = stateUnits + decisionUnits;
    used.dynamodb_read_units =
      primary * expectedUnits(w.state_bytes, 4096) + shared * expectedUnits(w.shared_bytes, 4096) +
      invocations + rate * w.labels_share;
    return { batches: [features, scoring, monitor], stateUnits, decisionUnits, usage: used };
  }

  function usage(w, rate, batches) {
    const labels = rate * w.labels_share;
    const sizes = [[rate, w.event_bytes], [labels, w.label_bytes]];
    const started = (block) => sum(sizes.map(([many, size]) => many * Math.max(1, Math.ceil(size / block))));
    const used = {
      eventbridge_events: rate * w.flagged_share,
      lambda_requests: sum(batches.map((b) => b.perS)),
      lambda_gb_s: sum(batches.map((b) => (((b.perS * b.ms) / 1000) * w.memory_mb) / 1024)),
      log_kb: sum(batches.map((b) => b.perS * C.LOG_KB)) + 2 * rate * C.LOG_KB_A_RECORD,
    };
    if (!w.on_demand) return { ...used, kinesis_put_units: started(25600) };
    const out = w.fan_out ? 0 : sum(sizes.map(([many, size]) => (many * size) / 1024));
    return { ...used, kinesis_in_kb: started(1024), kinesis_out_kb: out };
  }

  const apiUsage = (w, rate) => ({
    http_requests: rate,
    lambda_requests: rate,
    lambda_gb_s: (((rate * apiMs(w)) / 1000) * w.memory_mb) / 1024,
    dynamodb_read_units: rate * w.entities_per_event,
    dynamodb_write_units: rate * expectedUnits(w.decision_bytes),
    log_kb: rate * C.LOG_KB,
  });

  function streamAmounts(w, lanes) {
    const size = w.event_bytes + w.labels_share * w.label_bytes;
    const gb = (w.events_per_s * C.SECONDS * size) / C.GIB;
    if (w.on_demand) return { kinesis_stream_hours: C.HOURS, fan_out_gb_on_demand: w.fan_out ? gb : 0 };
    const hours = C.HOURS * lanes.events;
    const fanned = w.fan_out ? { fan_out_shard_hours: hours, fan_out_gb: gb } : {};
    return { kinesis_shard_hours: hours, ...fanned };
  }

  function storedGb(w) {
    let states = w.entities * (w.state_bytes + C.INDEX_BYTES);
    if (w.entities_per_event > 1) states += w.shared_entities * (w.shared_bytes + C.INDEX_BYTES);
    const kept = w.events_per_s * 86400 * w.retention_days;
    return (states + kept * (w.decision_bytes + C.INDEX_BYTES)) / C.GIB;
  }

  function bill(w) {
    const lanes = lanesFor(w);
    const hourly = w.profile.map((factor) => w.events_per_s * factor);
    const flows = hourly.filter((rate) => rate).map((rate) => flow(w, rate, lanes));
    const api = w.profile.map((factor) => w.api_per_s * factor);
    const anHour = C.SECONDS / w.profile.length;
    const amounts = {};
    for (const used of [...flows.map((f) => f.usage), ...api.map((rate) => apiUsage(w, rate))])
      for (const [name, amount] of Object.entries(used)) amounts[name] = (amounts[name] || 0) + amount * anHour;
    amounts.lambda_requests += C.WINDOWS_A_MONTH * lanes.decisions;
    const sampled = (perS) => Math.min(perS, 1 + 0.05 * Math.max(0, perS - 1));
    const traces = sum(flows.flatMap((f) => f.batches.map((b) => sampled(b.perS)))) + sum(api.map(sampled));
    const stored = storedGb(w);
    Object.assign(amounts, streamAmounts(w, lanes), {
      dynamodb_storage_gb_months: stored,
      dynamodb_backup_gb_months: stored,
      log_gb_months: ((amounts.log_kb / 1024 ** 2) * C.LOG_DAYS * 24) / C.HOURS,
      metric_months: C.METRICS,
      alarm_months: C.ALARM_MONTHS,
      dashboard_months: C.DASHBOARDS,
      xray_traces: (traces * C.SECONDS) / w.profile.length,
      kms_key_months: C.KEYS,
      secret_months: C.SECRETS,
    });
    const byComponent = {};
    for (const [name, amount] of Object.entries(amounts)) {
      const [component, usd] = prices[name];
      if (amount) byComponent[component] = (byComponent[component] || 0) + amount * usd;
    }
    const total = sum(Object.values(byComponent));
    const events = (w.events_per_s * C.SECONDS * sum(w.profile)) / w.profile.length;
    return { byComponent, total, perMillion: (total / events) * 1e6, lanes };
  }
  return { bill, profileOf };
}
