// What may be sent to another instance after an attempt came to nothing.
import type { GatewayError } from "../../contracts/ticket.ts";

/** none: no body. buffered: held whole, at most bodyBufferBytesMax. streamed: given away already. */
export type BodyKind = "none" | "buffered" | "streamed";

/**
 * untouched: the app cannot have seen the request (its gateway said so). ambiguous: it may have acted on it.
 * final: the answer, such as it is, stands.
 */
export type Failure = "untouched" | "ambiguous" | "final";

/** Safe methods (RFC 9110, 9.2.1): asking twice asks nothing more than asking once. A second DELETE may answer otherwise than the first. */
export const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

export function mayRetry(failure: Failure, method: string, body: BodyKind): boolean {
  switch (failure) {
    case "untouched":
      return body !== "streamed";
    case "ambiguous":
      return body === "none" && SAFE_METHODS.has(method);
    case "final":
      return false;
  }
}

/** What a gateway's error says about the request. A connection that failed below HTTP is always ambiguous to a Worker. */
export function failureOf(code: GatewayError): Failure {
  switch (code) {
    case "upstream_reset":
      return "ambiguous";
    case "upstream_timeout":
    case "malformed_request":
    case "body_too_large":
      return "final";
    case "ticket_missing":
    case "ticket_invalid":
    case "ticket_expired":
    case "instance_gone":
    case "connect_failed":
    case "too_many_connections":
      return "untouched";
  }
}

/** declaredBytes: content-length, null where unknown. */
export function bodyKind(hasBody: boolean, declaredBytes: number | null, bufferBytesMax: number): BodyKind {
  if (!hasBody) return "none";
  return declaredBytes !== null && declaredBytes <= bufferBytesMax ? "buffered" : "streamed";
}
