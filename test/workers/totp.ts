// What an authenticator app does (RFC 6238): the code of a secret at a time.
import { createHmac } from "node:crypto";

const STEP_MS = 30_000;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** A code that is right at no time near: one made up would be right now and then. */
export function wrongCodeOf(uri: string): string {
  const right = new Set([-3, -2, -1, 0, 1, 2, 3].map((stepsOn) => codeOf(uri, stepsOn)));
  const others = Array.from({ length: right.size + 1 }, (_, number) => String(number).padStart(6, "0"));
  return others.find((code) => !right.has(code)) ?? "";
}

/** uri: `otpauth://totp/…?secret=…`. stepsOn: 1 is the code after the present one, which is accepted already. */
export function codeOf(uri: string, stepsOn = 0): string {
  const secret = new URL(uri).searchParams.get("secret") ?? "";
  const bits = secret
    .replace(/=+$/, "")
    .split("")
    .map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, "0"))
    .join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / STEP_MS) + stepsOn));
  const mac = createHmac("sha1", key).update(counter).digest();
  const at = (mac[19] ?? 0) & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
