// The digest that stands for a text wherever the text itself must not be kept, or is too long for a name.
import { hexOf } from "../../db/ids.ts";

/** In lower-case hexadecimal digits. */
export async function sha256Hex(text: string): Promise<string> {
  return hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
}
