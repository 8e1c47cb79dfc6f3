/** The other ends of the connections on whose requests FLM works. */

export interface Peer {
  readonly address: string;
  readonly port: number;
}

/** Of a connection that has gone. */
export const NOBODY: Peer = { address: 'unknown', port: 0 };

/** By port alone: says at once of nearly everybody who is not served that they are not. */
export class PeerPorts {
  readonly #counts = new Uint32Array(65_536);

  add(port: number): void {
    this.#counts[port] = (this.#counts[port] ?? 0) + 1;
  }

  remove(port: number): void {
    this.#counts[port] = (this.#counts[port] ?? 1) - 1;
  }

  has(port: number): boolean {
    return this.#counts[port] !== 0;
  }
}
