"""Folders and options in, the models of a server out: each with an engine of its own, also those of adapters."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgc_runtime.generate.engine import Deliver
from fgc_runtime.models.finding import FolderError, ModelFolder, has_tokenizer
from fgc_runtime.models.loading import Loaded, load_tokenizer
from fgc_runtime.serve.adapters import adapted
from fgc_runtime.serve.arguments import Named, Options
from fgc_runtime.serve.loading import Part, load, make_service
from fgc_runtime.serve.service import Service
from fgc_runtime.serve.site import Models, Site

_SHARE = 0.5  # of the free memory is for keys and values, of all models together


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes models with the same options. Engines are not started."""

    options: Options
    site: Site
    chat_template: str | None
    deliver: Deliver

    @property
    def num_models(self) -> int:
        return len(self.options.models) + len(self.options.adapters)

    def models(self, folders: Sequence[ModelFolder]) -> Models:
        """Makes all that a server serves; adapters belong to the first model. Raises FolderError."""
        names = self._names(folders)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise FolderError(f"Two models would be called {twice[0]}: give NAME=DIR.")
        made = [self._made(folder, load(folder, self.options), named.name) for named, folder in self._named(folders)]
        services = [service for service, _ in made]
        for adapter in self.options.adapters:
            services.append(self._adapter(adapter, folders[0], made[0][1], services[0].model_name))
        return Models(self.site, services)

    def service(self, folder: ModelFolder, name: str) -> Service:
        """Makes one model, to take another's place. Raises FolderError."""
        return self._made(folder, load(folder, self.options), name)[0]

    def _names(self, folders: Sequence[ModelFolder]) -> list[str]:
        adapters = [_name_of(adapter) for adapter in self.options.adapters]
        return [named.name or folder.name for named, folder in self._named(folders)] + adapters

    def _named(self, folders: Sequence[ModelFolder]) -> list[tuple[Named, ModelFolder]]:
        return list(zip(self.options.models, folders, strict=True))

    def _made(self, folder: ModelFolder, loaded: Loaded, name: str | None) -> tuple[Service, Loaded]:
        part = Part(self.site, name or folder.name, kv_share=_SHARE / self.num_models, num_parts=self.num_models)
        return make_service(
            folder, loaded, self.options, part, chat_template=self.chat_template, deliver=self.deliver
        ), loaded

    def _adapter(self, adapter: Named, folder: ModelFolder, base: Loaded, parent: str) -> Service:
        """Makes the model of an adapter; its folder's own tokenizer, which may have another chat template, counts."""
        tokenizer = base.tokenizer
        if has_tokenizer(adapter.folder):
            tokenizer = load_tokenizer(adapter.folder, self.options)
        loaded = Loaded(adapted(base.model, adapter.folder), tokenizer)
        part = Part(
            self.site, _name_of(adapter), kv_share=_SHARE / self.num_models, num_parts=self.num_models, parent=parent
        )
        return make_service(folder, loaded, self.options, part, chat_template=self.chat_template, deliver=self.deliver)


def _name_of(adapter: Named) -> str:
    return adapter.name or adapter.folder.resolve().name
