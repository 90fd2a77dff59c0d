import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, matchesGlob, relative } from 'node:path'
import { expect, test } from 'vitest'
import { errorTable } from '../src/base/errors.ts'
import { sinks } from '../src/core/registry.ts'

const root = dirname(import.meta.dirname)
/** Files of a folder that are pages, at any depth. */
function pagesIn(folder: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.md')).map((name) => join(root, folder, name))
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].map((name) => join(root, name)),
  ...['docs', 'bench/results'].flatMap(pagesIn)
].map((path) => ({ path, name: relative(root, path), text: readFileSync(path, 'utf8') }))

/** What a page says without its examples, in which anything may stand. */
function withoutCode(text: string): string {
  return text.replaceAll(/^ *(```+).*?^ *\1/gms, '').replaceAll(/(`+)(?!`).+?(?<!`)\1(?!`)/g, '')
}

/** Targets of links and pictures, in each way Markdown has. */
function linksOf(page: string): string[] {
  const text = withoutCode(page)
  const forms = [
    /\]\(\s*<?([^)\s>]+)/g,
    /^ *\[[^\]]+\]:\s*<?([^\s>]+)/gm,
    /\s(?:href|src)\s*=\s*["']([^"']+)/g,
    /<([a-z]+:[^>\s]+)>/g
  ]
  return forms.flatMap((form) => [...text.matchAll(form)].map((match) => match[1]))
}

/** The same as paths from the root and anchors, those that name our repository by its address, too; others lead elsewhere. */
function ownLinks(
  path: string,
  text: string
): { link: string; target: string; anchor: string | undefined }[] {
  const home = manifest.repository.url.replace(/^git\+/, '').replace(/\.git$/, '')
  return linksOf(text).flatMap((link) => {
    const inRepository = new RegExp(`^${home}/(?:blob|tree|raw)/[^/]+/(.*)$`).exec(link)?.[1]
    if (/^[a-z]+:/.test(link) && inRepository === undefined) return []
    const [file, anchor] = (inRepository ?? link).split('#')
    const base = inRepository === undefined ? dirname(path) : root
    return [
      {
        link,
        target: file === '' ? relative(root, path) : relative(root, join(base, decodeURI(file))),
        anchor
      }
    ]
  })
}

/** The anchors GitHub gives the headings of a page; of the same ones those behind the first are numbered. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.replaceAll(/^ *(```+).*?^ *\1/gms, '').matchAll(/^#+ (.+)$/gm)]
  const times = new Map<string, number>()
  return new Set(
    headings.map(([, heading]) => {
      const anchor = heading
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-')
      const before = times.get(anchor) ?? 0
      times.set(anchor, before + 1)
      return before === 0 ? anchor : `${anchor}-${before}`
    })
  )
}

test('links are found in each way they can be written, and not in code', () => {
  const page = `[a](one.md "title") ![b](<two.md>) <a href="three.md"> <img width=1 src='four.svg'> <https://five>
[ref]: six.md
\`[no](seven.md)\` \`\`x \` [no](eight.md)\`\`
\`\`\`md
[no](nine.md)
\`\`\`
[last](ten.md#a)
`
  expect(linksOf(page).sort()).toEqual(
    ['four.svg', 'https://five', 'one.md', 'six.md', 'ten.md#a', 'three.md', 'two.md'].sort()
  )
  expect([...anchorsOf('## A b\n## A b\n## [C](x.md) `d`\n')]).toEqual(['a-b', 'a-b-1', 'c-d'])
})

test.each(pages)('every link of $name leads to a file and heading that exist', ({ path, text }) => {
  for (const { link, target, anchor } of ownLinks(path, text)) {
    expect(existsSync(join(root, target)), link).toBe(true)
    if (anchor === undefined) continue
    expect([...anchorsOf(readFileSync(join(root, target), 'utf8'))], link).toContain(anchor)
  }
})

test.each(pages)('every link of $name that leads to a file leads to one in the package', ({ path, text }) => {
  const packed: string[] = [...manifest.files, 'README.md', 'LICENSE']
  for (const { link, target } of ownLinks(path, text)) {
    const isIn = packed.some((each) => {
      return (
        target === each ||
        target.startsWith(`${each}/`) ||
        matchesGlob(target, each) ||
        dirname(each) === target
      )
    })
    expect(isIn, link).toBe(true)
    // Built where it is packed: in the repository, where the registry leads, there is none.
    expect(target, link).not.toMatch(/^dist(\/|$)/)
  }
})

// The registry shows README.md, and makes addresses of `repository`, `/blob/HEAD/` and the path out of relative links, of pictures
// likewise; whatever stands in front of a path it takes for the root. So relative ones work there, on GitHub and in node_modules.
test('links of the README work on the page of the registry', () => {
  const { type, url, directory } = manifest.repository
  expect([type, directory]).toEqual(['git', undefined])
  expect(url).toMatch(/^git\+https:\/\/github\.com\/[\w-]+\/[\w-]+\.git$/)
  const links = linksOf(readFileSync(join(root, 'README.md'), 'utf8'))
  expect(links.length).toBeGreaterThan(20)
  for (const link of links)
    expect(link).toMatch(/^(https:\/\/|(?!\.{0,2}\/|\.\.)[\w.][\w./-]*(#[\w-]+)?$|#[\w-]+$)/)
})

test.each(pages)('every error code in $name is one of the table', ({ text }) => {
  for (const [code] of text.matchAll(/\bERR_[A-Z_]+\b/g)) expect(Object.keys(errorTable)).toContain(code)
})

test('the index of docs/ lists every page', () => {
  const index = readFileSync(join(root, 'docs/README.md'), 'utf8')
  for (const name of readdirSync(join(root, 'docs'))) {
    if (name.endsWith('.md') && name !== 'README.md') expect(index).toContain(`(${name})`)
  }
})

test('every sink has a page, every error code a heading', () => {
  for (const kind of Object.keys(sinks)) expect(existsSync(join(root, 'docs', `${kind}.md`)), kind).toBe(true)
  const anchors = anchorsOf(readFileSync(join(root, 'docs/errors.md'), 'utf8'))
  expect([...anchors]).toEqual(
    expect.arrayContaining(Object.keys(errorTable).map((code) => code.toLowerCase()))
  )
})

test('the README has at most 250 lines', () => {
  expect(readFileSync(join(root, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(250)
})
