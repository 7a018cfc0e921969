// The client of `fgc lsp` in VS Code, and the views that need an editor: a configuration's text, graph and program
// beside its template, scrolled together.

import * as fs from 'node:fs';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { LanguageClient, type LanguageClientOptions, type ServerOptions } from 'vscode-languageclient/node';

type View = 'text' | 'graph' | 'program';

interface ViewedLine {
  line: number;
  uri: string;
  sourceLine: number;
}

interface Viewed {
  text: string;
  language: string;
  lines: ViewedLine[];
  problem: string | null;
}

const SCHEME = 'fgc-view';
const PAGE_SCHEME = 'fgc-page';
const TITLES: Record<View, string> = { text: 'resolved', graph: 'graph', program: 'program' };
const SELECTOR = [
  { scheme: 'file', language: 'fgc' },
  { scheme: 'file', pattern: '**/meta.yaml' },
  { scheme: 'file', pattern: '**/{templates,templatelib,forgather_workspace,fgc_stdlib}/**/*.{yaml,yml,jinja}' },
];

let client: LanguageClient | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const views = new Views();
  const pages = new Pages();
  context.subscriptions.push(
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, views),
    vscode.workspace.registerTextDocumentContentProvider(PAGE_SCHEME, pages),
    vscode.window.onDidChangeTextEditorVisibleRanges((event) => views.scroll(event.textEditor)),
    vscode.workspace.onDidSaveTextDocument(() => views.refresh()),
    vscode.commands.registerCommand('fgc.showText', () => views.show('text')),
    vscode.commands.registerCommand('fgc.showGraph', () => views.show('graph')),
    vscode.commands.registerCommand('fgc.showProgram', () => views.show('program')),
    vscode.commands.registerCommand('fgc.explain', (code?: string) => pages.show(code)),
    vscode.commands.registerCommand('fgc.run', run),
    vscode.commands.registerCommand('fgc.showPlaces', showPlaces),
    vscode.commands.registerCommand('fgc.restart', restart),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration('fgc.python')) await restart();
    }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

async function start(): Promise<void> {
  const python = await interpreter();
  const server: ServerOptions = { command: python, args: ['-m', 'fgc', 'lsp'] };
  const options: LanguageClientOptions = { documentSelector: SELECTOR, outputChannelName: 'fgc' };
  client = new LanguageClient('fgc', 'fgc', server, options);
  try {
    await client.start();
  } catch {
    const choice = await vscode.window.showErrorMessage(
      `fgc does not start with ${python}. Install it there (pip install 'fgc[lsp]'), or name another Python.`,
      'Choose a Python',
    );
    if (choice) await vscode.commands.executeCommand('workbench.action.openSettings', 'fgc.python');
  }
}

async function restart(): Promise<void> {
  await client?.stop().catch(() => undefined);
  await start();
}

/** The Python of the setting, of the Python extension, or of the workspace's `.venv`; else `python3`. */
async function interpreter(): Promise<string> {
  const folder = vscode.workspace.workspaceFolders?.[0];
  const own = vscode.workspace.getConfiguration('fgc', folder).get<string>('python');
  if (own) return own.replace('${workspaceFolder}', folder?.uri.fsPath ?? '');
  const extension = vscode.extensions.getExtension('ms-python.python');
  const api = extension && (extension.isActive ? extension.exports : await extension.activate());
  const chosen: string | undefined = api?.environments?.getActiveEnvironmentPath?.(folder?.uri)?.path;
  if (chosen && fs.existsSync(chosen)) return chosen;
  const local = folder && path.join(folder.uri.fsPath, '.venv', 'bin', 'python');
  return local && fs.existsSync(local) ? local : 'python3';
}

/** Starts a command of fgc for a configuration in a terminal. */
async function run(file: string, command: string): Promise<void> {
  const words: Record<string, string[]> = {
    build: ['build', file, '-o', path.join(path.dirname(file), 'out')],
    train: ['train', file, '--dry-run'],
    pp: ['pp', file],
  };
  if (command === 'explain') {
    const key = await vscode.window.showInputBox({ prompt: 'The path of a value', placeHolder: 'optimizer.lr' });
    if (!key) return;
    words.explain = ['explain', file, key];
  }
  const terminal = vscode.window.createTerminal({
    name: `fgc ${command}`,
    shellPath: await interpreter(),
    shellArgs: ['-m', 'fgc', ...(words[command] ?? [command, file])],
    cwd: vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file))?.uri,
  });
  terminal.show();
}

interface Location {
  uri: string;
  range: { start: vscode.Position; end: vscode.Position };
}

async function showPlaces(uri: string, position: vscode.Position, places: Location[]): Promise<void> {
  const at = (place: { line: number; character: number }) => new vscode.Position(place.line, place.character);
  const found = places.map(
    ({ uri: other, range }) => new vscode.Location(vscode.Uri.parse(other), new vscode.Range(at(range.start), at(range.end))),
  );
  await vscode.commands.executeCommand('editor.action.showReferences', vscode.Uri.parse(uri), at(position), found);
}

/** Views of configurations, and the lines of templates that they come from. */
class Views implements vscode.TextDocumentContentProvider {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly lines = new Map<string, ViewedLine[]>();
  private isScrolling = false;
  readonly onDidChange = this.changed.event;

  async show(view: View): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (!editor || editor.document.uri.scheme !== 'file') {
      await vscode.window.showInformationMessage('fgc: open a template first.');
      return;
    }
    const source = editor.document.uri;
    const name = `${path.basename(source.fsPath)} (${TITLES[view]})`;
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${name}`, query: `${view}&${source.toString(true)}` });
    const document = await vscode.workspace.openTextDocument(uri);
    const language = view === 'program' ? 'python' : view === 'text' ? 'yaml' : 'plaintext';
    await vscode.languages.setTextDocumentLanguage(document, language);
    await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true, preview: false });
    this.scroll(editor);
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const [view, ...rest] = uri.query.split('&');
    const found: Viewed | null = await client?.sendRequest('workspace/executeCommand', {
      command: 'fgc.view',
      arguments: [vscode.Uri.parse(rest.join('&')).toString(), view],
    }) as Viewed | null;
    this.lines.set(uri.toString(), found?.lines ?? []);
    return found?.problem ? `# ${found.problem}\n` : found?.text ?? '# the language server does not answer\n';
  }

  refresh(): void {
    for (const key of this.lines.keys()) this.changed.fire(vscode.Uri.parse(key));
  }

  /** Scrolls the other side of a pair to where the first visible line of one side comes from. */
  scroll(editor: vscode.TextEditor): void {
    if (this.isScrolling) return;
    const top = editor.visibleRanges[0]?.start.line ?? 0;
    for (const other of vscode.window.visibleTextEditors) {
      const line = this.partner(editor, other, top);
      if (line === undefined) continue;
      this.isScrolling = true;
      setTimeout(() => (this.isScrolling = false), 150);
      other.revealRange(new vscode.Range(line, 0, line, 0), vscode.TextEditorRevealType.AtTop);
    }
  }

  private partner(from: vscode.TextEditor, to: vscode.TextEditor, top: number): number | undefined {
    if (from === to) return undefined;
    if (to.document.uri.scheme === SCHEME) {
      const lines = this.lines.get(to.document.uri.toString()) ?? [];
      const own = lines.filter((line) => vscode.Uri.parse(line.uri).fsPath === from.document.uri.fsPath);
      return own.find((line) => line.sourceLine >= top)?.line;
    }
    if (from.document.uri.scheme === SCHEME) {
      const lines = this.lines.get(from.document.uri.toString()) ?? [];
      const own = lines.filter((line) => vscode.Uri.parse(line.uri).fsPath === to.document.uri.fsPath);
      return own.find((line) => line.line >= top)?.sourceLine;
    }
    return undefined;
  }
}

/** Pages of findings. */
class Pages implements vscode.TextDocumentContentProvider {
  async show(code?: string): Promise<void> {
    const asked = code ?? (await vscode.window.showInputBox({ prompt: 'The code of a finding', placeHolder: 'FGC204' }));
    if (asked) await vscode.commands.executeCommand('markdown.showPreview', vscode.Uri.parse(`${PAGE_SCHEME}:/${asked.toUpperCase()}.md`));
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const code = path.basename(uri.path, '.md');
    const page = await client?.sendRequest('workspace/executeCommand', { command: 'fgc.page', arguments: [code] });
    return (page as string | null) ?? `There is no finding ${code}.`;
  }
}
