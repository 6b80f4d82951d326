// The one Postgres that the adapter speaks to, whatever address a request names; and a raw connection to it, with TLS where it is asked for.
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface PostgresTarget {
  readonly host: string;
  readonly port: number;
  /** To a certificate that Node trusts, of that host. Absent: in the clear, as on this machine or in a private network. */
  readonly tls?: boolean;
  /** For a connection to it, and for one to become free. Absent: CONNECT_TIMEOUT_MS. */
  readonly connectTimeoutMs?: number;
}

export const CONNECT_TIMEOUT_MS = 5_000;
/** Postgres' SSLRequest: 8 bytes, of which the last 4 are its code. The answer is one byte. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const SSL_YES = "S".charCodeAt(0);

/** Connected, and encrypted where that is asked for; rejects where it cannot be. */
export async function connectToPostgres(target: PostgresTarget): Promise<Socket> {
  const { host, port, tls = false, connectTimeoutMs: timeout = CONNECT_TIMEOUT_MS } = target;
  const socket = connect({ host, port, noDelay: true, timeout });
  socket.once("timeout", () => socket.destroy(new Error("Postgres did not answer in time")));
  try {
    await event(socket, "connect");
    const encrypted = tls ? await encrypt(socket, host) : socket;
    socket.setTimeout(0);
    return encrypted;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function encrypt(socket: Socket, host: string): Promise<Socket> {
  socket.write(SSL_REQUEST);
  const answer = await event(socket, "data");
  // More than the one byte would be an attempt to slip something in before the encryption (CVE-2021-23222).
  if (answer.length !== 1 || answer[0] !== SSL_YES) throw new Error("Postgres does not offer TLS");
  const encrypted = connectTls({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) });
  await event(encrypted, "secureConnect");
  return encrypted;
}

function event(socket: Socket, name: "connect" | "data" | "secureConnect"): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error("Postgres ended the connection"));
    const settle = (data: Buffer) => {
      socket.off("error", reject).off("close", closed);
      // What comes next belongs to whoever reads on.
      if (name === "data") socket.pause();
      resolve(data);
    };
    socket.once(name, settle).once("error", reject).once("close", closed);
  });
}
