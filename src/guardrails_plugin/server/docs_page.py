"""The page at /docs. Plain HTML and script: a page that loads code from elsewhere would not work offline."""

from __future__ import annotations

__all__ = ["DOCS_PAGE"]

DOCS_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}
details{border:1px solid #d8dee6;border-radius:6px;margin:.4rem 0;padding:.3rem .7rem}
summary{cursor:pointer;font-family:ui-monospace,monospace}
b.m{display:inline-block;width:4.5em;color:#0b5cad} .s{color:#5b6675;font-family:system-ui,sans-serif}
pre{background:#f4f6f9;padding:.7rem;overflow:auto;border-radius:4px}
textarea{width:100%;height:9em;font-family:monospace}
input{width:100%;padding:.4rem;font-family:monospace} h2{margin-top:2rem}
</style></head><body>
<h1 id="title">API</h1>
<p>The machine-readable form is <a href="openapi.json">openapi.json</a>. Requests are sent from this page with:</p>
<input id="token" type="password" autocomplete="off" placeholder="bearer token" aria-label="bearer token">
<main id="all"></main>
<script>
"use strict";
const make = (tag, text, cls) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  if (cls) node.className = cls;
  return node;
};
const resolve = (doc, schema) => schema && schema.$ref
  ? schema.$ref.split("/").slice(1).reduce((at, key) => at[key], doc) : schema;
const sample = (doc, schema, depth = 0) => {
  schema = resolve(doc, schema) || {};
  if (depth > 6) return null;
  if (schema.default !== undefined) return schema.default;
  if (schema.examples) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  if (schema.const !== undefined) return schema.const;
  const one = schema.anyOf || schema.oneOf || schema.allOf;
  if (one) return sample(doc, one[0], depth + 1);
  if (schema.type === "array") return [sample(doc, schema.items, depth + 1)];
  if (schema.properties) return Object.fromEntries(Object.entries(schema.properties)
    .map(([name, inner]) => [name, sample(doc, inner, depth + 1)]));
  return { string: "", integer: 0, number: 0, boolean: false, object: {} }[schema.type] ?? null;
};
const show = (doc, path, method, op) => {
  const box = make("details"), head = make("summary");
  head.append(make("b", method.toUpperCase(), "m"), path + " ", make("span", op.summary || "", "s"));
  box.append(head, make("p", op.description || ""));
  const address = make("input");
  address.value = path;
  box.append(address);
  const content = op.requestBody && op.requestBody.content || {};
  let body = null;
  if (content["application/json"]) {
    body = make("textarea");
    body.value = JSON.stringify(sample(doc, content["application/json"].schema), null, 2);
    box.append(body);
  }
  const send = make("button", "Send"), out = make("pre");
  send.onclick = async () => {
    const headers = {};
    const token = document.getElementById("token").value;
    if (token) headers.Authorization = "Bearer " + token;
    if (body) headers["Content-Type"] = "application/json";
    const options = { method: method.toUpperCase(), headers, body: body ? body.value : undefined };
    const answer = await fetch(address.value, options);
    const text = await answer.text();
    try { out.textContent = answer.status + "\\n" + JSON.stringify(JSON.parse(text), null, 2); }
    catch { out.textContent = answer.status + "\\n" + text; }
  };
  box.append(send, out);
  return box;
};
fetch("openapi.json").then(answer => answer.json()).then(doc => {
  document.getElementById("title").textContent = doc.info.title + " " + doc.info.version;
  const groups = {};
  for (const [path, methods] of Object.entries(doc.paths))
    for (const [method, op] of Object.entries(methods))
      (groups[(op.tags || ["other"])[0]] ||= []).push(show(doc, path, method, op));
  for (const [name, boxes] of Object.entries(groups))
    document.getElementById("all").append(make("h2", name), ...boxes);
});
</script></body></html>
"""
