// A page in headless Chromium, driven over its debugging pipe: messages of JSON that end with a zero byte, to
// descriptor 3 and from descriptor 4 (the DevTools protocol, `--remote-debugging-pipe`).
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { atTestEnd } from './at-test-end.ts'
import { until } from './until.ts'

const ANSWER_LIMIT_MS = 60_000

/** The command of the browser, or undefined where there is none. */
export const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0
)

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

export interface BrowserPage {
  /** What the page said of errors: exceptions, failed loads, refused content. */
  readonly complaints: readonly string[]
  /** Addresses of all that was asked for, the page itself first. */
  readonly requests: readonly string[]
  evaluate<T>(expression: string): Promise<T>
  /** The scheme of colours the user prefers. */
  prefer(scheme: 'dark' | 'light'): Promise<void>
  screenshot(path: string): Promise<void>
}

/** Opens the file at `path`, and resolves when it is loaded. The browser ends with the test. */
export async function openPage(path: string, width = 1000, height = 900): Promise<BrowserPage> {
  const profile = mkdtempSync(join(tmpdir(), 'logboom-browser-'))
  const browser = spawn(
    chromium as string,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--remote-debugging-pipe',
      `--window-size=${width},${height}`,
      `--user-data-dir=${profile}`
    ],
    // What it does not put into its profile stays there, too.
    {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: profile }
    }
  )
  atTestEnd(async () => {
    const ended = once(browser, 'exit')
    browser.kill('SIGTERM')
    await ended
    // Its own children may go on writing for a moment.
    await until(() => {
      try {
        rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
      } catch {
        // ENOTEMPTY: they do.
      }
      return !existsSync(profile)
    })
  })
  const complaints: string[] = []
  const requests: string[] = []
  const events = new Map<string, () => void>()
  const send = connect(browser, ({ method = '', params = {} }) => {
    if (method === 'Network.requestWillBeSent') requests.push((params.request as { url: string }).url)
    if (method === 'Runtime.exceptionThrown' || method === 'Network.loadingFailed')
      complaints.push(JSON.stringify(params))
    if (method === 'Log.entryAdded') complaints.push((params.entry as { text: string }).text)
    events.get(method)?.()
  })
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
  const ask = (method: string, params: object = {}) => send(method, params, sessionId as string)
  for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await ask(`${domain}.enable`)
  const loaded = new Promise<void>((resolve) => events.set('Page.loadEventFired', resolve))
  await ask('Page.navigate', { url: pathToFileURL(path).href })
  await loaded
  return {
    complaints,
    requests,
    async evaluate<T>(expression: string): Promise<T> {
      const { result, exceptionDetails } = await ask('Runtime.evaluate', {
        expression,
        awaitPromise: true,
        returnByValue: true
      })
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
      return (result as { value: T }).value
    },
    async prefer(scheme) {
      await ask('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
    },
    async screenshot(to) {
      const { data } = await ask('Page.captureScreenshot', { format: 'png' })
      writeFileSync(to, Buffer.from(data as string, 'base64'))
    }
  }
}

type Send = (method: string, params?: object, sessionId?: string) => Promise<Record<string, unknown>>

function connect(browser: ChildProcess, heard: (message: Message) => void): Send {
  const input = browser.stdio[3] as Writable
  const output = browser.stdio[4] as Readable
  const waiting = new Map<number, (message: Message) => void>()
  let rest = ''
  let id = 0
  output.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\0')
    rest = parts.pop() as string
    for (const part of parts) {
      const message = JSON.parse(part) as Message
      if (message.id === undefined) heard(message)
      else waiting.get(message.id)?.(message)
    }
  })
  return (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      const own = ++id
      const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), ANSWER_LIMIT_MS)
      waiting.set(own, ({ result = {}, error }) => {
        clearTimeout(timer)
        waiting.delete(own)
        if (error === undefined) resolve(result)
        else reject(new Error(`${method}: ${error.message}`))
      })
      input.write(`${JSON.stringify({ id: own, method, params, sessionId })}\0`)
    })
}
