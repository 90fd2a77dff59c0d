// A real server of S3 as tests need it: what is in the objects.
import { gunzipSync } from 'node:zlib'
import { AwsClient } from 'aws4fetch'

export const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }

/** The lines of each object of the log `app`, in the order of their names. */
export async function* objectsIn(url: string): AsyncGenerator<string[], void, undefined> {
  const client = new AwsClient({ ...credentials, service: 's3', region: 'us-east-1' })
  const keys: string[] = []
  for (let after = ''; ; ) {
    const query = `list-type=2&prefix=app/&start-after=${encodeURIComponent(after)}`
    const text = await (await client.fetch(`${url}/logs?${query}`)).text()
    const found = [...text.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key]) => key)
    keys.push(...found.filter((key) => key > after))
    if (found.length === 0 || !text.includes('<IsTruncated>true')) break
    after = found[found.length - 1]
  }
  for (const key of keys.sort()) {
    const body = await (await client.fetch(`${url}/logs/${key}`)).arrayBuffer()
    yield gunzipSync(Buffer.from(body)).toString().split('\n').slice(0, -1)
  }
}

/** The records of all objects, in the order of their names. */
export async function recordsIn(url: string): Promise<string[]> {
  const records: string[] = []
  for await (const lines of objectsIn(url)) records.push(...lines)
  return records
}
