// Who a shipper is to a server of NATS. Apart from the client's own types, which are not there for everybody.

export type NatsCredentials =
  | { readonly user: string; readonly password: string }
  | { readonly token: string }
  /** The content of a file of credentials, as `nsc` makes them. */
  | { readonly creds: string }

/** Authorities of one's own, and the certificate of a client; files in PEM. */
export interface NatsTls {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  /** TLS from the first byte on, for servers that are configured so. */
  readonly handshakeFirst?: boolean
}
