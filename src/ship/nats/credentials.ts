// Who a shipper is to a server of NATS. Apart from the client's own types, which are not there for everybody.
import type { TlsFiles } from '../tls-files.ts'

export type NatsCredentials =
  | { readonly user: string; readonly password: string }
  | { readonly token: string }
  /** The content of a file of credentials, as `nsc` makes them. */
  | { readonly creds: string }
  /** The seed of a user's key: `SU…` */
  | { readonly nkey: string }

/** Authorities of one's own, and the certificate of a client; files in PEM. */
export interface NatsTls extends TlsFiles {
  /** TLS from the first byte on, for servers that are configured so. */
  readonly handshakeFirst?: boolean
}
