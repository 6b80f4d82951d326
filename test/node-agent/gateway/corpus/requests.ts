// Requests that try to desynchronise a proxy and its app, each with its exact outcome. Nothing here is taken from another corpus.
// `{T}` stands for a valid ticket's header line: whoever got this far past the edge, or is the edge with a visitor's bytes.

export interface RequestCase {
  readonly name: string;
  readonly bytes: string;
  /** Statuses in order. After each case comes PROBE on the same connection; where it may not be served, its answer is not here. */
  readonly answers: readonly number[];
  /** What the app saw whole: method, target, body. */
  readonly seen: readonly string[];
}

export const head = (line: string, ...fields: string[]): string =>
  `${line}\r\nhost: shop.test\r\n{T}\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`;
export const PROBE = head("GET /probe HTTP/1.1", "connection: close");
const INNER = head("GET /inner HTTP/1.1");
const SEEN_PROBE = "GET /probe []";

const refused = (name: string, bytes: string, status = 400): RequestCase => ({
  name,
  bytes,
  answers: [status],
  seen: [],
});
const passes = (name: string, bytes: string, ...seen: string[]): RequestCase => ({
  name,
  bytes,
  answers: [...seen.map(() => 200), 200],
  seen: [...seen, SEEN_PROBE],
});
/** The first request passes; what follows it is no request. */
const thenRefused = (name: string, bytes: string, seen: string): RequestCase => ({
  name,
  bytes,
  answers: [200, 400],
  seen: [seen],
});

const POST = "POST /a HTTP/1.1";
const CHUNKED = "transfer-encoding: chunked";
const CHUNKS = `3\r\nabc\r\n0\r\n\r\n`;
const withField = (name: string, field: string, status = 400): RequestCase =>
  refused(name, head(POST, field) + CHUNKS, status);

const framings: RequestCase[] = [
  refused("CL.TE", `${head(POST, "content-length: 6", CHUNKED)}0\r\n\r\nG`),
  refused("CL.TE with a request in the rest", head(POST, "content-length: 5", CHUNKED) + `0\r\n\r\n${INNER}`),
  refused("TE.CL", head(POST, CHUNKED, "content-length: 4") + `5c\r\n${INNER}\r\n0\r\n\r\n`),
  refused("CL of 0 and TE", head(POST, "content-length: 0", CHUNKED) + CHUNKS),
  withField("TE twice", `${CHUNKED}\r\n${CHUNKED}`),
  withField("TE twice, the second unknown", `${CHUNKED}\r\ntransfer-encoding: x`),
  withField("TE twice, the first unknown", `transfer-encoding: x\r\n${CHUNKED}`, 501),
  withField("TE of chunked twice in a list", "transfer-encoding: chunked, chunked"),
  withField("TE with chunked not last", "transfer-encoding: chunked, identity"),
  withField("TE with a coding before chunked", "transfer-encoding: gzip, chunked", 501),
  withField("TE with an empty element", "transfer-encoding: , chunked", 501),
  withField("TE identity", "transfer-encoding: identity", 501),
  withField("TE xchunked", "transfer-encoding: xchunked", 501),
  withField("TE chunkedx", "transfer-encoding: chunkedx", 501),
  withField("TE quoted", 'transfer-encoding: "chunked"', 501),
  withField("TE with a parameter", "transfer-encoding: chunked;q=1", 501),
  withField("TE empty", "transfer-encoding:", 501),
  withField("TE with a space before the colon", "transfer-encoding : chunked"),
  withField("TE with a tab before the colon", "transfer-encoding\t: chunked"),
  withField("TE behind a vertical tab", "transfer-encoding:\x0bchunked"),
  withField("TE behind a form feed", "transfer-encoding: \x0cchunked"),
  withField("TE before a tab", "transfer-encoding: chunked\t"),
  withField("TE with a null", "transfer-encoding: chunked\0"),
  withField("TE with a bare CR", "transfer-encoding: chunked\r"),
  withField("TE on a folded line", "transfer-encoding:\r\n chunked"),
  withField("TE cut by a line", "transfer-encoding\r\n: chunked"),
  withField("TE after a bare LF", "x: y\ntransfer-encoding: chunked"),
  withField("TE after a bare CR", "x: y\rtransfer-encoding: chunked"),
  withField("TE as a first folded line", " transfer-encoding: chunked"),
  thenRefused("TE with an underscore is no TE", head(POST, "transfer_encoding: chunked") + CHUNKS, "POST /a []"),
  passes("TE in capitals", head(POST, "TRANSFER-ENCODING: CHUNKED") + CHUNKS, "POST /a [abc]"),
  passes("TE between a tab and a space", head(POST, "transfer-encoding:\tchunked ") + CHUNKS, "POST /a [abc]"),
  passes("TE named by connection", head(POST, "connection: transfer-encoding", CHUNKED) + CHUNKS, "POST /a [abc]"),
];

const length = (name: string, value: string): RequestCase =>
  refused(`CL ${name}`, `${head(POST, `content-length:${value}`)}abc`);

const lengths: RequestCase[] = [
  length("as a list", " 3, 3"),
  length("as a list that differs", " 3, 5"),
  length("twice the same", " 3\r\ncontent-length: 3"),
  length("twice", " 3\r\ncontent-length: 5"),
  length("with a plus", " +3"),
  length("negative", " -3"),
  length("hexadecimal", " 0x3"),
  length("with hexadecimal digits", " a"),
  length("with a fraction", " 3.0"),
  length("with an exponent", " 3e0"),
  length("with an inner space", " 3 3"),
  length("with an underscore", " 3_0"),
  length("with a semicolon", " 3;"),
  length("before a tab", " 3\t"),
  length("quoted", ' "3"'),
  length("empty", ""),
  length("of white space", "  \t"),
  length("with a null", " 3\0"),
  length("beyond 64 bits", " 18446744073709551619"),
  length("beyond what a number holds", " 9007199254740993"),
  length("behind a space before the colon", " 3\r\ncontent-length : 3"),
  passes("CL without white space", `${head(POST, "content-length:3")}abc`, "POST /a [abc]"),
  passes("CL with zeros before", `${head(POST, "content-length: 003")}abc`, "POST /a [abc]"),
  passes("CL with white space after", `${head(POST, "content-length: 3  ")}abc`, "POST /a [abc]"),
  passes(
    "CL named by connection",
    `${head(POST, "connection: content-length", "content-length: 3")}abc`,
    "POST /a [abc]",
  ),
  passes("CL of a GET", `${head("GET /a HTTP/1.1", "content-length: 3")}abc`, "GET /a [abc]"),
  passes(
    "CL that holds a request",
    head(POST, `content-length: 24`) + "GET /inner HTTP/1.1\r\n\r\n1",
    "POST /a [GET /inner HTTP/1.1\r\n\r\n1]",
  ),
  thenRefused("CL too short", `${head(POST, "content-length: 2")}abc`, "POST /a [ab]"),
  thenRefused("CL with an underscore is no CL", `${head(POST, "content_length: 3")}abc`, "POST /a []"),
];

const body = (name: string, chunks: string): RequestCase => refused(`a chunk ${name}`, head(POST, CHUNKED) + chunks);
const chunkPasses = (name: string, chunks: string): RequestCase =>
  passes(`a chunk ${name}`, head(POST, CHUNKED) + chunks, "POST /a [abc]");

const chunks: RequestCase[] = [
  body("without a size", "\r\nabc\r\n0\r\n\r\n"),
  body("with a size in other letters", "g\r\nabc\r\n0\r\n\r\n"),
  body("with a negative size", "-3\r\nabc\r\n0\r\n\r\n"),
  body("with a plus", "+3\r\nabc\r\n0\r\n\r\n"),
  body("with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
  body("with a space before its size", " 3\r\nabc\r\n0\r\n\r\n"),
  body("with a space after its size", "3 \r\nabc\r\n0\r\n\r\n"),
  body("with a tab after its size", "3\t\r\nabc\r\n0\r\n\r\n"),
  body("with an underscore in its size", "0_3\r\nabc\r\n0\r\n\r\n"),
  body("of 2^64 bytes and 3", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
  body("whose size ends in a bare LF", "3\nabc\r\n0\r\n\r\n"),
  body("whose size ends in a bare CR", "3\rabc\r\n0\r\n\r\n"),
  body("whose data ends in a bare LF", "3\r\nabc\n0\r\n\r\n"),
  body("whose data ends in a bare CR", "3\r\nabc\r0\r\n\r\n"),
  body("longer than its size", "3\r\nabcd\r\n0\r\n\r\n"),
  body("shorter than its size", "4\r\nabc\r\n0\r\n\r\n"),
  body("with an empty extension", "3;\r\nabc\r\n0\r\n\r\n"),
  body("with a bare LF in an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
  body("with a bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
  body("with a null in an extension", "3;a=\0\r\nabc\r\n0\r\n\r\n"),
  body("with a line in a quoted extension", '3;a="\r\n"\r\nabc\r\n0\r\n\r\n'),
  body("with 9,000 bytes of extension", `3;${"a".repeat(9_000)}\r\nabc\r\n0\r\n\r\n`),
  body("with 9,000 zeros", `${"0".repeat(9_000)}3\r\nabc\r\n0\r\n\r\n`),
  body("that is last, with a bare LF after it", "3\r\nabc\r\n0\r\n\n"),
  body("that is last, with a trailer of a length", "3\r\nabc\r\n0\r\ncontent-length: 3\r\n\r\n"),
  body("that is last, with a trailer of a coding", "3\r\nabc\r\n0\r\ntransfer-encoding: chunked\r\n\r\n"),
  body("that is last, with a trailer in two words", "3\r\nabc\r\n0\r\na b: c\r\n\r\n"),
  body("that is last, with a folded trailer", "3\r\nabc\r\n0\r\na: b\r\n c\r\n\r\n"),
  body("that is last, with a trailer that ends in a bare LF", "3\r\nabc\r\n0\r\na: b\n\r\n"),
  body("that is last, with 9,000 bytes of trailers", `3\r\nabc\r\n0\r\n${"a: bcde\r\n".repeat(1_000)}\r\n`),
  chunkPasses("with an extension", "3;a=b\r\nabc\r\n0\r\n\r\n"),
  chunkPasses("with a quoted extension", '3;a="b;c"\r\nabc\r\n0;d\r\n\r\n'),
  chunkPasses("with zeros before its size", "0003\r\nabc\r\n000\r\n\r\n"),
  chunkPasses("by chunk", "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"),
  chunkPasses("and trailers that are dropped", "3\r\nabc\r\n0\r\n{T}\r\nhost: evil\r\nx: y\r\n\r\n"),
  passes(
    "chunks that hold a request",
    head(POST, CHUNKED) + `17\r\nGET /inner HTTP/1.1\r\n\r\n\r\n0\r\n\r\n`,
    "POST /a [GET /inner HTTP/1.1\r\n\r\n]",
  ),
  thenRefused("chunks with bytes after the last", `${head(POST, CHUNKED)}${CHUNKS}abc`, "POST /a [abc]"),
];

export const bodies: readonly RequestCase[] = [...framings, ...lengths, ...chunks];
