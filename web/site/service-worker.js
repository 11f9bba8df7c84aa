// Keeps one version of the page's files, checked by their hashes, and answers every request with them. `sewd-export --web`
// writes a first line: const SITE = { version, files: { name: { size_bytes, sha256 } } }.
const CACHE = `sewd ${registration.scope} `;
const TYPES = {
  css: "text/css",
  gz: "application/gzip",
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  json: "application/json",
  svg: "image/svg+xml",
};
// Several threads need a cross-origin isolated page (https://web.dev/coop-coep), and not every host can send headers.
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(removeOthers()));
addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  url.search = url.hash = "";
  if (url.href === registration.scope) url.pathname += "index.html";
  const name = url.href.slice(registration.scope.length);
  if (event.request.method === "GET" && url.href.startsWith(registration.scope) && Object.hasOwn(SITE.files, name))
    event.respondWith(answer(name));
});

async function answer(name) {
  const cache = await caches.open(CACHE + SITE.version);
  return (await cache.match(name)) ?? fetch(name); // a browser may have removed it
}

async function install() {
  const cache = await caches.open(CACHE + SITE.version);
  const pages = await clients.matchAll({ includeUncontrolled: true });
  const total_bytes = Object.values(SITE.files).reduce((sum, { size_bytes }) => sum + size_bytes, 0);
  let loaded_bytes = 0;
  const loaded = (bytes) => {
    loaded_bytes += bytes;
    for (const page of pages) page.postMessage({ loaded_bytes, total_bytes });
  };
  const keep = async ([name, { size_bytes, sha256 }]) => {
    const content = (await kept(name, sha256)) ?? (await download(name, loaded));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
    if (Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") !== sha256)
      throw new Error(`${name} has ${content.byteLength} bytes and differs from the ${size_bytes} that were exported`);
    const headers = { "Content-Type": TYPES[name.split(".").at(-1)] ?? "application/octet-stream", "X-Sha256": sha256, ...ISOLATION };
    await cache.put(name, new Response(content, { headers }));
  };
  await Promise.all(Object.entries(SITE.files).map(keep));
}

/** Return a file of an earlier version if it has not changed. */
async function kept(name, sha256) {
  for (const cache of await ownCaches()) {
    const response = await (await caches.open(cache)).match(name);
    if (response?.headers.get("X-Sha256") === sha256) return response.arrayBuffer();
  }
}

async function download(name, loaded) {
  const response = await fetch(name, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  const parts = [];
  const reader = response.body.getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    parts.push(value);
    loaded(value.length);
  }
  return new Blob(parts).arrayBuffer();
}

async function ownCaches() {
  return (await caches.keys()).filter((name) => name.startsWith(CACHE));
}

async function removeOthers() {
  for (const name of await ownCaches()) if (name !== CACHE + SITE.version) await caches.delete(name);
}
