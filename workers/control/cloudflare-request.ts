// One request to Cloudflare's API, as every part of it is asked: with a token, in JSON, for so long.

export interface CloudflareRequest {
  readonly token: string;
  readonly method: string;
  readonly url: string;
  /** Sent as JSON; undefined: without a body. */
  readonly body: unknown;
  readonly timeoutMs: number;
}

/** The answer as it came, whatever its status. Throws what fetch throws, a TimeoutError after timeoutMs. */
export function askCloudflare({ token, method, url, body, timeoutMs }: CloudflareRequest): Promise<Response> {
  const authorization = `Bearer ${token}`;
  const signal = AbortSignal.timeout(timeoutMs);
  if (body === undefined) return fetch(url, { method, headers: { authorization }, signal });
  const headers = { authorization, "content-type": "application/json" };
  return fetch(url, { method, headers, body: JSON.stringify(body), signal });
}
