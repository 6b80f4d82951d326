// Request lines, hosts, header lines and connections that two readers could read differently, each with its exact outcome.
import { head, type RequestCase } from "./requests.ts";

const GET = "GET /a HTTP/1.1";
const SEEN_PROBE = "GET /probe []";
const one = (name: string, bytes: string, answers: readonly number[], ...seen: string[]): RequestCase => ({
  name,
  bytes,
  answers,
  seen,
});
const refused = (name: string, bytes: string, status = 400): RequestCase => one(name, bytes, [status]);
const passes = (name: string, bytes: string, seen = "GET /a []"): RequestCase =>
  one(name, bytes, [200, 200], seen, SEEN_PROBE);
const line = (name: string, text: string, status = 400): RequestCase =>
  refused(`a request line ${name}`, head(text), status);
const field = (name: string, text: string, status = 400): RequestCase =>
  refused(`a header line ${name}`, head(GET, text), status);
const host = (name: string, lines: string): RequestCase => refused(`host ${name}`, `${GET}\r\n${lines}{T}\r\n\r\n`);

const lines: RequestCase[] = [
  line("of HTTP/0.9", "GET /a", 505),
  line("of HTTP/1.0", "GET /a HTTP/1.0", 505),
  refused("HTTP/1.0 with keep-alive", head("GET /a HTTP/1.0", "connection: keep-alive"), 505),
  line("of HTTP/1.2", "GET /a HTTP/1.2", 505),
  line("of HTTP/2.0", "GET /a HTTP/2.0", 505),
  line("of HTTP/11", "GET /a HTTP/11", 505),
  line("of HTTP/1.10", "GET /a HTTP/1.10", 505),
  line("in small letters", "GET /a http/1.1"),
  line("of RTSP", "GET /a RTSP/1.1", 505),
  line("that is HTTP/2's preface", "PRI * HTTP/2.0", 505),
  line("with two spaces after the method", "GET  /a HTTP/1.1"),
  line("with two spaces after the target", "GET /a  HTTP/1.1", 505),
  line("with a tab", "GET\t/a HTTP/1.1"),
  line("with a space at its end", "GET /a HTTP/1.1 ", 505),
  line("with a space before it", " GET /a HTTP/1.1"),
  line("with an empty line before it", "\r\nGET /a HTTP/1.1"),
  line("with a space in the target", "GET /a b HTTP/1.1"),
  line("with a null in the target", "GET /a\0 HTTP/1.1"),
  line("with a bare CR in the target", "GET /a\rb HTTP/1.1"),
  line("that ends in a bare LF", "GET /a HTTP/1.1\nx: y", 505),
  line("with a fragment", "GET /a#b HTTP/1.1"),
  line("with bytes above ASCII", "GET /\xe4 HTTP/1.1"),
  line("in absolute form", "GET http://shop.test/a HTTP/1.1"),
  line("in absolute form to another host", "GET http://evil.test/a HTTP/1.1"),
  line("in authority form", "GET shop.test:80 HTTP/1.1"),
  line("with a relative target", "GET a HTTP/1.1"),
  line("of CONNECT", "CONNECT shop.test:80 HTTP/1.1", 501),
  line("of CONNECT to a path", "CONNECT /a HTTP/1.1", 501),
  line("with * for GET", "GET * HTTP/1.1"),
  line("with a method in small letters", "get /a HTTP/1.1"),
  line("with an unknown method", "BREW /a HTTP/1.1"),
  line("with a method of other characters", "G(T /a HTTP/1.1"),
  line("that is a TLS hello", "\x16\x03\x01\x02\x00\x01"),
  passes("OPTIONS *", head("OPTIONS * HTTP/1.1"), "OPTIONS * []"),
  passes("a target that is escaped stays so", head("GET /a%2f..%2fb?c=%00 HTTP/1.1"), "GET /a%2f..%2fb?c=%00 []"),
  passes("a target with dots stays so", head("GET /a/../b//c HTTP/1.1"), "GET /a/../b//c []"),
];

const fields: RequestCase[] = [
  field("with a space before its colon", "x : y"),
  field("with a tab before its colon", "x\t: y"),
  field("with a space in its name", "x y: z"),
  field("without a name", ": y"),
  field("without a colon", "xyz"),
  field("with a null in its name", "x\0: y"),
  field("with a null in its value", "x: \0"),
  field("with a delete in its value", "x: \x7f"),
  field("with an escape in its value", "x: \x1b[0m"),
  field("with a bare CR in its value", "x: y\rz: 1"),
  field("that ends in a bare LF", "x: y\nz: 1"),
  field("folded by a space", "x: y\r\n z"),
  field("folded by a tab", "x: y\r\n\tz"),
  field("with other letters in its name", "x\xe4: y"),
  field("in brackets", "x[0]: y"),
  field("expecting something else", "expect: 200-ok", 417),
  refused("only bare LFs", head(GET).replaceAll("\r\n", "\n"), 505),
  refused("an end of bare LFs", head(GET).replace(/\r\n\r\n$/, "\n\n")),
  refused("129 KB of head", head(GET, ...Array.from({ length: 129 }, () => `x: ${"y".repeat(1_019)}`)), 431),
  refused("a header line of 129 KB", head(GET, `x: ${"y".repeat(129 * 1024)}`), 431),
  refused("600 header lines", head(GET, ...Array.from({ length: 600 }, () => "x: y")), 431),
  host("missing", ""),
  host("twice", "host: shop.test\r\nhost: shop.test\r\n"),
  host("twice and different", "host: shop.test\r\nHost: evil.test\r\n"),
  host("of two names", "host: shop.test, evil.test\r\n"),
  host("with a space", "host: shop test\r\n"),
  host("with a path", "host: shop.test/a\r\n"),
  host("with a user", "host: user@shop.test\r\n"),
  passes("a value above ASCII", head(GET, "x: caf\xe9")),
  passes("an empty value", head(GET, "x:")),
  passes("the connection names the host", head(GET, "connection: host, berth-ticket")),
  passes("a Host that the ticket overrules", `${GET}\r\nhost: evil.test\r\n{T}\r\n\r\n`),
  passes("a Range is the app's affair", head(GET, "range: bytes=0-1")),
];

const connections: RequestCase[] = [
  one(
    "three requests at once",
    head("GET /1 HTTP/1.1") + `${head("POST /2 HTTP/1.1", "content-length: 3")}abc` + head("HEAD /3 HTTP/1.1"),
    [200, 200, 200, 200],
    "GET /1 []",
    "POST /2 [abc]",
    "HEAD /3 []",
    SEEN_PROBE,
  ),
  one(
    "nothing after a request that closes",
    head(GET, "connection: close") + head("GET /b HTTP/1.1"),
    [200],
    "GET /a []",
  ),
  one("nothing after close among other options", head(GET, "connection: x, Close"), [200], "GET /a []"),
  one("a refusal ends what was pipelined behind it", `GET /a\r\n\r\n${head("GET /b HTTP/1.1")}`, [505]),
  one("an empty line between requests", `${head(GET)}\r\n`, [200, 400], "GET /a []"),
  one(
    "expect: 100-continue",
    `${head("POST /a HTTP/1.1", "expect: 100-continue", "content-length: 3")}abc`,
    [100, 200, 200],
    "POST /a [abc]",
    SEEN_PROBE,
  ),
  one("expect: 100-continue without a body", head(GET, "expect: 100-continue"), [200, 200], "GET /a []", SEEN_PROBE),
  one(
    "an answer before the body",
    `${head("POST /early HTTP/1.1", "content-length: 9")}012345678`,
    [200, 200],
    "POST /early early",
    SEEN_PROBE,
  ),
  one(
    "an answer before the chunks",
    `${head("POST /early HTTP/1.1", "transfer-encoding: chunked")}3\r\nabc\r\n0\r\n\r\n`,
    [200, 200],
    "POST /early early",
    SEEN_PROBE,
  ),
  passes(
    "an upgrade to h2c is not handed on",
    head(GET, "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"),
  ),
  passes("an upgrade that connection does not name", head(GET, "upgrade: websocket")),
  passes("a WebSocket that the app does not want", head(GET, "connection: upgrade", "upgrade: websocket")),
  refused("a WebSocket by POST", head("POST /a HTTP/1.1", "connection: upgrade", "upgrade: websocket")),
  refused(
    "a WebSocket with a body",
    `${head(GET, "connection: upgrade", "upgrade: websocket", "content-length: 3")}abc`,
  ),
  refused(
    "a WebSocket with chunks",
    `${head(GET, "connection: upgrade", "upgrade: websocket", "transfer-encoding: chunked")}0\r\n\r\n`,
  ),
  one("no ticket", `${GET}\r\nhost: x\r\n\r\n`, [401, 200], SEEN_PROBE),
  one(
    "no ticket, with a body that holds a request",
    `POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 24\r\n\r\nGET /inner HTTP/1.1\r\n\r\n1`,
    [401, 200],
    SEEN_PROBE,
  ),
  refused("two tickets", head(GET, "{T}")),
];

export const heads: readonly RequestCase[] = [...lines, ...fields, ...connections];
