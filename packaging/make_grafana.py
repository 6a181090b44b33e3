#!/usr/bin/env python3
"""Writes packaging/grafana.json: the dashboard's panels as a table, instead of a thousand lines of JSON by hand.

usage: make_grafana.py > packaging/grafana.json
"""
import json

M = '{model_name=~"$model"}'


def rate(metric, by=""):
    return f"sum{by}(rate({metric}{M}[$__rate_interval]))"


def quantiles(metric):
    return [(f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{M}[$__rate_interval])))", f"p{q * 100:g}")
            for q in (0.5, 0.9, 0.99)] + [(f"{rate(metric + '_sum')} / {rate(metric + '_count')}", "mean")]


# (title, unit, [(expression, legend)])
ROWS = [
    ("What users see", [
        ("Time to first token", "s", quantiles("vllm:time_to_first_token_seconds")),
        ("Between tokens", "s", quantiles("vllm:inter_token_latency_seconds")),
        ("Time per output token (mean of each answer)", "s", quantiles("vllm:request_time_per_output_token_seconds")),
        ("End to end", "s", quantiles("vllm:e2e_request_latency_seconds")),
        ("Waiting to be admitted", "s", quantiles("vllm:request_queue_time_seconds")),
        ("Prompt, from being admitted", "s", quantiles("vllm:request_prefill_time_seconds")),
    ]),
    ("Work", [
        ("Tokens", "short", [(rate("vllm:generation_tokens_total"), "generated a second"),
                             (rate("vllm:prompt_tokens_total"), "of prompts a second")]),
        ("Requests in the engine", "short", [(f"sum(vllm:num_requests_running{M})", "running"),
                                             (f"sum(vllm:num_requests_waiting{M})", "waiting")]),
        ("Answers by end", "short", [(rate("vllm:request_success_total", " by (finished_reason)"), "{{finished_reason}}")]),
        ("Steps a second", "short", [(rate("millrace_steps_total"), "steps")]),
        ("Prompt lengths", "short", quantiles("vllm:request_prompt_tokens")),
        ("Answer lengths", "short", quantiles("vllm:request_generation_tokens")),
    ]),
    ("Memory", [
        ("KV cache in use", "percentunit", [(f"avg(vllm:kv_cache_usage_perc{M})", "in use")]),
        ("Prompt tokens from the prefix cache", "percentunit",
         [(f"{rate('vllm:prefix_cache_hits_total')} / {rate('vllm:prefix_cache_queries_total')}", "hits")]),
        ("Requests put off for want of memory", "short", [(rate("vllm:num_preemptions_total"), "a second")]),
        ("Tokens run again for conv states", "short", [(rate("millrace_replayed_tokens_total"), "a second")]),
        ("Process", "bytes", [('process_resident_memory_bytes{job=~"$job"}', "{{instance}}")]),
    ]),
    ("Server", [
        ("HTTP answers by status", "short", [(rate("millrace_http_requests_total", " by (path, status)"), "{{path}} {{status}}")]),
        ("Connections and streams", "short", [(f"sum(millrace_connections{M})", "connections"),
                                              (f"sum(millrace_streams{M})", "streams")]),
        ("Refused and left", "short", [(rate("millrace_rejected_requests_total"), "429 a second"),
                                       (rate("millrace_disconnected_requests_total"), "clients left a second")]),
        ("Tool calls", "short", [(rate("millrace_tool_calls_total"), "a second"),
                                 (rate("millrace_tool_call_problems_total"), "that cannot be parsed")]),
        ("CPU", "short", [('rate(process_cpu_seconds_total{job=~"$job"}[$__rate_interval])', "cores, {{instance}}")]),
        ("Descriptors", "short", [('process_open_fds{job=~"$job"}', "{{instance}}")]),
    ]),
]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def panel(number, title, unit, queries, x, y):
    return {"id": number, "type": "timeseries", "title": title, "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": 8, "h": 7},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 8, "showPoints": "never"}},
                            "overrides": []},
            "options": {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}},
            "targets": [{"refId": chr(65 + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
                        for i, (expression, legend) in enumerate(queries)]}


def variable(name, query):
    return {"name": name, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2, "includeAll": True,
            "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}


def dashboard():
    panels, number, y = [], 0, 0
    for row, charts in ROWS:
        number += 1
        panels.append({"id": number, "type": "row", "title": row, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        for i, (title, unit, queries) in enumerate(charts):
            number += 1
            panels.append(panel(number, title, unit, queries, 8 * (i % 3), y + 7 * (i // 3)))
        y += 7 * ((len(charts) + 2) // 3)
    return {"title": "Millrace", "uid": "millrace", "tags": ["llm"], "schemaVersion": 39, "timezone": "browser",
            "refresh": "10s", "time": {"from": "now-30m", "to": "now"}, "panels": panels,
            "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}},
                                    variable("model", "label_values(vllm:num_requests_running, model_name)"),
                                    variable("job", "label_values(process_open_fds, job)")]}}


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1))
