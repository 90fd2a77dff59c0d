// Certificates that a target is given as files: authorities of one's own, and who the client is.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { errorMessage, LogboomError } from '../base/errors.ts'

/** Files in PEM. They are read again for new connections after a failure, so that they can be renewed. */
export interface TlsFiles {
  /** The authorities that are trusted, in place of those that Node.js knows. */
  readonly caFile?: string | undefined
  /** The certificate of the client, and its key. */
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
}

export interface TlsContent {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** Throws `ERR_OPTION` for files that hold none, or belong to nothing; `ERR_IO` for those that cannot be read. */
export function readTls(target: string, { caFile, certFile, keyFile }: TlsFiles): TlsContent {
  if ((certFile === undefined) !== (keyFile === undefined))
    throw new LogboomError('ERR_OPTION', `${target}: tls needs certFile and keyFile, or neither`)
  const content = {
    ...(caFile !== undefined && { ca: certificateIn(target, caFile) }),
    ...(certFile !== undefined && { cert: certificateIn(target, certFile) }),
    ...(keyFile !== undefined && { key: read(target, keyFile) })
  }
  if (keyFile !== undefined) {
    try {
      createSecureContext(content)
    } catch (error) {
      throw wrong(
        `${target}: the key in ${keyFile} cannot be used with ${certFile}: ${errorMessage(error)}`,
        keyFile
      )
    }
  }
  return content
}

function certificateIn(target: string, path: string): Buffer {
  const bytes = read(target, path)
  try {
    new X509Certificate(bytes)
  } catch {
    throw wrong(`${target}: ${path} holds no certificate in PEM`, path)
  }
  return bytes
}

function read(target: string, path: string): Buffer {
  if (typeof path !== 'string' || path === '')
    throw new LogboomError('ERR_OPTION', `${target}: caFile, certFile and keyFile must be paths`)
  try {
    return readFileSync(path)
  } catch (error) {
    throw new LogboomError('ERR_IO', `${target}: cannot read ${path}: ${errorMessage(error)}`, {
      path,
      cause: error
    })
  }
}

function wrong(message: string, path: string): LogboomError {
  return new LogboomError('ERR_OPTION', message, { path })
}
