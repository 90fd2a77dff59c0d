// Ships to object storage with the interface of S3: one object for each batch. Its key is made of the range of the records,
// so that a batch that is sent again has the same key and the same records, and is there once.
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { LogboomError } from '../../base/errors.ts'
import { encodeRecord, maxRecordBytes } from '../../formats/binary-file.ts'
import { failureOf, isSuccess, requireHttpUrl } from '../http.ts'
import { HttpClient } from '../http-client.ts'
import { importOptional, optionalPackage } from '../optional-package.ts'
import type { Refusal, ShipBatch, ShipRecord, ShipTarget } from '../target.ts'
import type { TlsFiles } from '../tls-files.ts'

const compress = (data: Uint8Array): Promise<Buffer> => promisify(gzip)(data)
const HASH_HEADER = 'x-amz-meta-logboom-sha256'
const SEQUENCE_DIGITS = 12
const NEWLINE = 10

export interface S3Options {
  /** `https://<endpoint>/<bucket>/<prefix>` */
  readonly url: string
  readonly region?: string
  /** From the environment variables of AWS by default. */
  readonly credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string | undefined }
  /** Authorities of one's own, and the certificate of the client. */
  readonly tls?: TlsFiles | undefined
}

/** Rejects with `ERR_OPTION` without credentials, and with `ERR_UNSUPPORTED` without the package aws4fetch. */
export async function createS3Target({
  url,
  region = 'us-east-1',
  credentials,
  tls
}: S3Options): Promise<ShipTarget> {
  const { search, hash } = requireHttpUrl('s3', url)
  if (search + hash !== '')
    throw new LogboomError('ERR_OPTION', 's3: url must end with a path, which keys are put behind')
  const { accessKeyId, secretAccessKey, sessionToken } = credentials ?? fromEnvironment()
  const { AwsClient } = await optionalPackage('shipping to S3', 'aws4fetch', () =>
    importOptional<typeof import('aws4fetch')>('aws4fetch')
  )
  const session = sessionToken === undefined ? {} : { sessionToken }
  const http = new HttpClient('s3', tls)
  const secrets = [secretAccessKey, sessionToken ?? '']
  const signer = new AwsClient({
    accessKeyId,
    secretAccessKey,
    ...session,
    region,
    service: 's3'
  })
  const send = async (
    method: 'PUT' | 'HEAD',
    key: string,
    wanted: Record<string, string>,
    signal: AbortSignal,
    body?: Buffer
  ) => {
    const { headers } = await signer.sign(key, { method, headers: wanted })
    const url = new URL(key)
    return await http.send(
      { method, url, headers: Object.fromEntries(headers), ...(body !== undefined && { body }) },
      signal
    )
  }
  const base = url.replace(/\/+$/, '')
  return {
    name: 's3',
    guarantee:
      'every record is in exactly one object, in order by the names of the objects, as long as the checkpoint is kept',
    splits: false,
    maxInFlight: 4,
    async send(batch: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]> {
      const content = contentOf(batch)
      const hash = sha256(content)
      const body = await compress(content)
      const key = `${base}/${keyOf(batch)}`
      const headers = {
        'if-none-match': '*',
        'content-type': batch.areLines ? 'application/x-ndjson' : 'application/octet-stream',
        'x-amz-content-sha256': sha256(body),
        [HASH_HEADER]: hash
      }
      const answer = await send('PUT', key, headers, signal, body)
      // A page of something in between is no word of the storage, which tells the tag of what it has put there.
      if (isSuccess(answer) && answer.headers.etag === undefined)
        throw new Error(`PUT ${key}: the answer is none of S3; check the url`)
      if (isSuccess(answer)) return []
      if (answer.status !== 412) throw failureOf(answer, `PUT ${key}`, secrets)
      // It is there: sent before, and the answer was lost or not noted.
      const found = await send('HEAD', key, {}, signal)
      if (!isSuccess(found)) throw failureOf(found, `HEAD ${key}`, secrets)
      if (found.headers[HASH_HEADER] === hash) return []
      throw new LogboomError('ERR_CORRUPT', `${key} is there with other records`, { path: key })
    },
    async close() {
      http.close()
    }
  }
}

/** Sorted by name, the objects of a stream are in the order of their records. */
function keyOf({ log, stream, sequence, rangeHash, areLines }: ShipBatch): string {
  const number = String(sequence).padStart(SEQUENCE_DIGITS, '0')
  return `${encodeURIComponent(log)}/${stream}/${number}-${rangeHash}.${areLines ? 'log' : 'bin'}.gz`
}

/** Lines, or records of a binary file: either can be read with `logboom cat`. */
function contentOf({ records, areLines }: ShipBatch): Buffer {
  if (areLines) return linesOf(records)
  const bytes = Buffer.alloc(records.reduce((sum, { data }) => sum + maxRecordBytes(data), 0))
  let end = 0
  for (const { data } of records) end = encodeRecord(bytes, end, data)
  return bytes.subarray(0, end)
}

function linesOf(records: readonly ShipRecord[]): Buffer {
  const bytes = Buffer.allocUnsafe(records.reduce((sum, { data }) => sum + data.length + 1, 0))
  let end = 0
  for (const { data } of records) {
    end += data.copy(bytes, end)
    bytes[end++] = NEWLINE
  }
  return bytes
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function fromEnvironment() {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env
  if (AWS_ACCESS_KEY_ID === undefined || AWS_SECRET_ACCESS_KEY === undefined) {
    const names = 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
    throw new LogboomError('ERR_OPTION', `shipping to S3 needs ${names} in the environment`)
  }
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    sessionToken: AWS_SESSION_TOKEN
  }
}
