// What visitors are told where no app answers (RFC 9457).
import { REQUEST_ID_HEADER } from "../../contracts/ticket.ts";

interface Page {
  readonly status: string;
  readonly detail: string;
}

const PAGES = {
  unknown_host: { status: "404 Not Found", detail: "No app of this region has this hostname." },
  reserved_path: { status: "404 Not Found", detail: "Paths under /.berth/ are the platform's own." },
  no_release: {
    status: "404 Not Found",
    detail: "This app has no ready instance of the release that was asked for.",
  },
  override_invalid: {
    status: "400 Bad Request",
    detail: "The berth-release header is forged, expired or another app's.",
  },
  malformed_request: { status: "400 Bad Request", detail: "The request could not be understood." },
  body_too_large: { status: "413 Content Too Large", detail: "The request's body is larger than this app takes." },
  maintenance: { status: "503 Service Unavailable", detail: "This app is being worked on and will be back." },
  no_ready_instance: {
    status: "503 Service Unavailable",
    detail: "None of this app's instances is ready for requests.",
  },
  overloaded: { status: "503 Service Unavailable", detail: "This app has too much to do." },
  upstream_timeout: { status: "504 Gateway Timeout", detail: "The app did not answer in time." },
  unreachable: {
    status: "502 Bad Gateway",
    detail: "The app could not be reached, or broke off without an answer.",
  },
} as const satisfies Record<string, Page>;

export type PageCode = keyof typeof PAGES;

export const isPage = (code: string): code is PageCode => Object.hasOwn(PAGES, code);

/** The whole answer; head only for HEAD requests. lines: further ones, each ended by CRLF. */
export function pageText(code: PageCode, requestId: string, headOnly: boolean, lines = ""): string {
  const { status, detail } = PAGES[code];
  const said = { type: "about:blank", status: Number(status.slice(0, 3)), code, detail, requestId };
  const more = `cache-control: no-store\r\n${REQUEST_ID_HEADER}: ${requestId}\r\n${lines}`;
  return textOf(status, "application/problem+json", JSON.stringify(said), headOnly, more);
}

/** body: ASCII. */
export function textOf(status: string, type: string, body: string, headOnly: boolean, lines = ""): string {
  const head = `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n${lines}\r\n`;
  return headOnly ? head : head + body;
}
