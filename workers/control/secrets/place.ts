// Where a sealed value belongs: it opens there and nowhere else.
import { base64url } from "jose";

/** scope: an app's id, `registry`, `idempotency` or, of the platform's own, `keys`. */
export interface SecretPlace {
  readonly team: string;
  readonly scope: string;
  readonly name: string;
}

/** A hash, so that a header of fixed length names the place. */
export async function bindingOf({ team, scope, name }: SecretPlace): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify([team, scope, name]));
  return base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", text)));
}
