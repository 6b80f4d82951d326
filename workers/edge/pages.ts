// What a visitor is told when no app answers: what happened, in HTML for browsers and as problem+json for the rest.
import { REQUEST_ID_HEADER } from "../../contracts/ticket.ts";

interface Page {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** Seconds; where trying again soon makes sense. */
  readonly retryAfter?: number;
  /** The request was on its way when the instance, its node or a connection broke: no other could safely be asked. */
  readonly inFlight?: boolean;
}

const PAGES = {
  unknown_host: { status: 404, title: "No app here", detail: "No app has this hostname." },
  reserved_path: { status: 404, title: "Not found", detail: "Paths under /.berth/ are the platform's own." },
  destroyed: { status: 404, title: "App destroyed", detail: "The app that had this hostname was destroyed." },
  never_deployed: {
    status: 503,
    title: "Not deployed yet",
    detail: "This app exists, but no release of it was ever deployed.",
  },
  starting: { status: 503, title: "Starting", detail: "The first instances of this app are starting.", retryAfter: 1 },
  waking: { status: 503, title: "Waking up", detail: "This app was asleep and is starting.", retryAfter: 1 },
  no_ready_instance: {
    status: 503,
    title: "No ready instance",
    detail: "None of this app's instances is ready for requests.",
    retryAfter: 2,
  },
  maintenance: {
    status: 503,
    title: "Maintenance",
    detail: "This app is being worked on and will be back.",
    retryAfter: 60,
  },
  no_release: {
    status: 404,
    title: "No such release",
    detail: "This app has no ready instance of the release that was asked for.",
  },
  override_invalid: {
    status: 400,
    title: "Bad release override",
    detail:
      "The berth-release header is forged, expired or another app's. Ask for a new one: POST /v1/apps/{app}/traffic/override.",
  },
  preview_signed: {
    status: 403,
    title: "A signed link is needed",
    detail:
      "There is no open preview here. Whoever releases this app can make a link that is: berth preview, or POST /v1/apps/{app}/traffic/override.",
  },
  body_too_large: {
    status: 413,
    title: "Body too large",
    detail: "The request's body is larger than this app takes.",
  },
  scaled_to_zero: { status: 503, title: "Scaled to zero", detail: "This app has no instances: it was scaled to zero." },
  route_unreadable: {
    status: 503,
    title: "Temporarily unavailable",
    detail: "The edge cannot find out where this app runs.",
    retryAfter: 2,
  },
  malformed_request: {
    status: 400,
    title: "Bad request",
    detail: "The request's head has a form that is not passed on: a header that is not allowed, or too many of them.",
  },
  body_not_carried: {
    status: 400,
    title: "GET with a body",
    detail: "The body of a GET or HEAD request cannot be passed on: leave it out, or send it by another method.",
  },
  overloaded: {
    status: 503,
    title: "Too busy",
    detail: "The app's instances have too many open requests.",
    retryAfter: 1,
  },
  connect_failed: {
    status: 502,
    title: "The app does not accept connections",
    detail: "The instance crashed or does not listen on its port.",
    retryAfter: 1,
  },
  upstream_reset: {
    status: 502,
    inFlight: true,
    title: "The app broke off",
    detail: "The instance closed the connection without a valid answer. The request may have been acted on.",
  },
  unreachable: {
    status: 502,
    inFlight: true,
    title: "Node unreachable",
    detail: "The connection to the instance's node broke. The request may have been acted on.",
    retryAfter: 1,
  },
  instance_moved: {
    status: 502,
    title: "The instance has moved",
    detail: "The instance left its node and the request's body cannot be sent again.",
    retryAfter: 1,
  },
  upstream_timeout: {
    status: 504,
    title: "The app took too long",
    detail: "The instance did not answer in time. The request may have been acted on.",
  },
  node_timeout: {
    status: 504,
    inFlight: true,
    title: "Node timed out",
    detail: "The instance's node stopped answering. The request may have been acted on.",
  },
  internal: { status: 500, title: "Edge error", detail: "Something went wrong at the edge itself." },
} as const satisfies Record<string, Page>;

export type PageCode = keyof typeof PAGES;

export const isInFlight = (code: PageCode): boolean => (PAGES[code] as Page).inFlight === true;

export function page(code: PageCode, request: Request, requestId: string): Response {
  const { status, title, detail, retryAfter, inFlight = false }: Page = PAGES[code];
  const browser = (request.headers.get("accept") ?? "").includes("text/html");
  const headers = new Headers({
    "content-type": browser ? "text/html; charset=utf-8" : "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    [REQUEST_ID_HEADER]: requestId,
  });
  if (retryAfter !== undefined) headers.set("retry-after", String(retryAfter));
  const problem = { type: `urn:berth:edge:${code}`, title, status, detail, code, inFlight, requestId };
  const body = browser ? html(status, title, detail, requestId) : JSON.stringify(problem);
  return new Response(request.method === "HEAD" ? null : body, { status, headers });
}

/** title and detail are ours; requestId is checked to be of harmless characters when it is taken from a client. */
function html(status: number, title: string, detail: string, requestId: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${status} ${title}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center; background: #f6f7f9; color: #1c2430 }
main { max-width: 34rem; padding: 2rem }
h1 { font-size: 1.5rem; margin: 0 0 .5rem }
code { color: #5b6675; font-size: .85rem }
@media (prefers-color-scheme: dark) { body { background: #12161c; color: #e6eaf0 } code { color: #93a0b0 } }
</style>
</head>
<body><main><h1>${status} · ${title}</h1><p>${detail}</p><code>request ${requestId}</code></main></body>
</html>
`;
}
