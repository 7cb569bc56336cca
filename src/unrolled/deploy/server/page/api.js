// Questions to the server; every failure becomes a Trouble with a sentence for the reader.

export class Trouble extends Error {
  constructor(message, { status = 0, retrySeconds = 0 } = {}) {
    super(message);
    this.status = status;
    this.retrySeconds = retrySeconds;
  }
}

const PATIENCE_MS = 20_000;

async function ask(path, options, signal) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  let response, body;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.any([patience, ...(signal ? [signal] : [])]) });
    body = await response.json();
  } catch (error) {
    if (signal?.aborted) { throw error; }
    if (response) { throw new Trouble("The server's answer broke off."); }
    throw new Trouble(
      patience.aborted
        ? `The server took longer than ${PATIENCE_MS / 1000} seconds.`
        : "The server does not answer. Is it still running?",
      { retrySeconds: 3 },
    );
  }
  if (response.ok) { return body; }
  const found = body?.error ?? {};
  const what = found.message ? `${found.message}${found.expected ? ` (expected: ${found.expected})` : ""}` : "no reason given";
  if (response.status === 503) {
    const retrySeconds = Math.min(Number(response.headers.get("retry-after")) || 1, 60);
    throw new Trouble(`The server is busy: ${what}.`, { status: 503, retrySeconds });
  }
  throw new Trouble(`The server declined (${response.status}): ${what}.`, { status: response.status });
}

const post = (path, document, signal) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(document) }, signal);

export const fetchModels = async () => (await ask("models", {})).models;
export const predict = async (texts, signal) => (await post("predict", { texts }, signal)).results;
export const explain = async (model, text, label, signal) => (await post("explain", { model, text, label }, signal)).results[0];
