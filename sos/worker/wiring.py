"""Where a worker is put together: the only place that constructs concrete classes."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..admin.api import AdminApi
from ..admin.call import Services as AdminServices
from ..admin.observing import Inside
from ..admin.scrape.api import Metrics
from ..base.later import Later
from ..base.pages import FROZEN, Pages
from ..config.load import variables
from ..drive.formation import Formation
from ..http.forwarded import Proxies
from ..http.limits import Limits
from ..http.reply_head import server_headers
from ..mesh.client import MeshClient
from ..mesh.server import MeshServer, Topic
from ..meta.proposals import AnyProposal
from ..meta.records import BucketRecord
from ..meta.transitions import Decision, decide
from ..meta.walk import View
from ..observe.tap import Tap
from ..placement.sets import owner_of
from ..s3.auth.lookup import keys_of
from ..s3.authorise import authorise_with, ids_by, known_by
from ..s3.call import Services
from ..s3.call import Settings as SurfaceSettings
from ..s3.dispatch import Dispatcher
from ..services.access import Access
from ..services.buckets import Buckets
from ..services.configuration import Configuration
from ..services.decisions.asking import DecisionsTopic
from ..services.decisions.insight import Insight
from ..services.decisions.recorder import Decisions
from ..services.decisions.simulator import Simulator
from ..services.fleet import TOPIC_DECISIONS, TOPIC_HEAL, TOPIC_QUOTA, TOPIC_SPEED, Fleet
from ..services.heal_reports import HealReports
from ..services.identity import certificates
from ..services.identity.identity import Identity
from ..services.identity.ldap import Ldap
from ..services.identity.ldap_login import LdapLogin
from ..services.identity.ldap_refresh import LdapRefresh
from ..services.identity.openid_refresh import OpenIdRefresh
from ..services.identity.vault import Root, salt_of
from ..services.listing import Listing
from ..services.multipart import Multipart
from ..services.objects import Objects
from ..services.pools import Claims, Pools
from ..services.purge import Purge
from ..services.quota_keeper import Keeper, QuotaTopic, RemoteKeeper
from ..services.quotas import Limits as QuotaLimits
from ..services.quotas import Quotas
from ..services.raw_rows import RawRows
from ..services.speed import SpeedTopic
from ..services.unfinished import Unfinished
from ..services.usage import Usage
from .cluster import MachineFacts
from .context import WorkerContext
from .health import SetHealth
from .jobs import Jobs
from .live_settings import LiveSettings
from .memory import Trimmer, bound_heap
from .observing import Observers, endpoint_of
from .proofs import make_sts
from .sets import Rules, Sets
from .submit import (
    TOPIC_CLAIM,
    TOPIC_FAULT,
    TOPIC_SUBMIT,
    TOPIC_SWEEP,
    ClaimTopic,
    Fault,
    FaultTopic,
    SubmitTopic,
    Successions,
    SweepTopic,
    claim_through,
)
from .tls import Certificates, client_context, has_certificates
from .traced_drive import DriveTraces

if TYPE_CHECKING:
    from ..http import sanic_app
else:
    # this module is imported by the supervisor too, Sanic by workers only
    sanic_app = Later("sos.http.sanic_app")

log = logging.getLogger("sos.worker")

#: Threads that receive, hash, encode and write uploads; they wait for the disk more than they compute.
PUT_THREADS = 8
#: Threads that verify and send replies; with a core per worker more of them only switch.
GET_THREADS = 2


class Worker:
    """Everything that runs in one worker. Built by :func:`start`, taken apart by ``drain``."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self.settings = context.settings
        self.pages: Pages = context.pages
        formation: Formation = context.formation
        self.formation = formation
        bound_heap()
        self.put_pool = ThreadPoolExecutor(PUT_THREADS, "put")
        self.get_pool = ThreadPoolExecutor(GET_THREADS, "get")
        self.work_pool = ThreadPoolExecutor(2, "work")
        # apart from the listings: a drive that hangs in background work must not hold them up
        self.back_pool = ThreadPoolExecutor(2, "back")
        self.peers = [MeshClient(address) for address in context.mesh_addresses]
        self.fleet = Fleet(self.peers, context.slot)
        rules = Rules(self._prepare, self._decide, self._bucket_of)
        self.tap = Tap(self.pages.board, context.slot)
        traces = DriveTraces(self.tap, endpoint_of(context))
        self.sets = Sets(context, self.put_pool, self.peers, rules, self._tell_fault, traces)
        self.servers: list[sanic_app.Server] = []
        directory = self.settings.certs_dir
        self.certificates = Certificates(directory) if has_certificates(directory) else None
        self._build_services()

    # -- what the sets ask, once the services are there ----------------------------------------------

    async def _prepare(self) -> None:
        await self.limits.prepare()

    def _decide(self, view: View, bucket: BucketRecord | None, proposal: AnyProposal, order: int, now_ns: int) -> Decision:
        return decide(view, bucket, proposal, order, now_ns, term=self.limits.term(bucket))

    def _bucket_of(self, bucket_id: int) -> BucketRecord | None:
        return self.buckets.decide_record(bucket_id)

    def _tell_fault(self, fault: Fault) -> None:
        self.jobs.tell_fault(fault)

    # -- services ------------------------------------------------------------------------------------

    def _build_services(self) -> None:
        self._build_data()
        self._build_identity()
        self._build_jobs()
        self._build_mesh()
        self._build_surface()

    def _build_data(self) -> None:
        """Buckets, objects and what bounds them."""
        workers = self.context.workers
        self.claims = Claims()
        claim = claim_through(self.claims, self.context.slot, self.peers, lambda number: owner_of(number, workers))
        self.pools = Pools(self.sets.all, self.sets.maps, claim if len(self.sets.maps) > 1 else None)
        self.buckets = Buckets(self.pools, self.pages)
        self.limits = QuotaLimits(self.pools, self.buckets, self.pages)
        # the worker of set 0 grants quotas to all
        self.keeper = Keeper(self.sets.all, self.limits, self.pages) if 0 in self.sets.owners else None
        self.grants = self.keeper or RemoteKeeper(self.sets.owner_peer(0))
        quotas = Quotas(self.pools, self.limits, self.grants, self.pages, self.context.slot)
        self.objects = Objects(self.pools, self.get_pool, quotas)
        self.listing = Listing(self.sets.all, self.work_pool)
        self.multipart = Multipart(self.pools, self.objects, self.listing)
        self.purge = Purge(self.buckets, self.objects, self.multipart, self.listing)

    def _build_identity(self) -> None:
        """Who there is, who vouches for whom, and what was decided."""
        self.identity = Identity(self.pools.system, self.pages, self._root(), root_access=self.settings.root_access)
        self.configuration = Configuration(self.identity.realm, self.pages, self.settings, variables(os.environ))
        self.sts = make_sts(self.identity, self.configuration, lambda: self.context.settings)
        self.configuration.watch(certificates.SUBSYSTEM, self._ask_clients)
        self.ldap = Ldap(self.identity, self.configuration, lambda: client_context(self.settings.certs_dir))
        self.access = Access(self.identity.directory.closed)
        self.decisions = Decisions(self.context.slot)

    def _build_jobs(self) -> None:
        """What runs beside the requests."""
        looks = [*self.sets.looks(), self.configuration.look, Successions(self.pages, self.peers).look]
        first = 0 in self.sets.owners
        self.jobs = Jobs(
            self.sets.all,
            list(self.sets.owners),
            [self.sets.owner_peer(one.number) for one in self.sets.all],
            self.pages,
            self.back_pool,
            self.context.slot,
            looks,
            self.sets.heals,
            self.sets.reader_check,
            Unfinished(self.buckets, self.pools).step if first else None,
            [LdapRefresh(self.ldap, self.identity).run, OpenIdRefresh(self.sts.openid, self.identity).run]
            if first
            else [],
        )
        self.trimmer = Trimmer(self.sets.release_pages, self.sets.trim_buffers, self._requests, self.sets.buffers)
        for owner in self.sets.owners.values():
            owner.after_step = self._step_done

    def _build_mesh(self) -> None:
        """What the other workers may ask this one."""
        self.observers = Observers(self.pages.board, self.fleet, endpoint_of(self.context), self.tap)
        self.heal_reports = HealReports(self.sets.all, self.buckets, self.fleet)
        topics: dict[int, Topic] = {
            TOPIC_SUBMIT: SubmitTopic({number: owner.submit for number, owner in self.sets.owners.items()}),
            TOPIC_CLAIM: ClaimTopic(self.claims),
            TOPIC_FAULT: FaultTopic(self.sets.owners),
            TOPIC_SWEEP: SweepTopic(self.jobs.sweep),
            TOPIC_SPEED: SpeedTopic(self.buckets, self.objects, self.put_pool, self.get_pool),
            TOPIC_QUOTA: QuotaTopic(self.grants),
            TOPIC_DECISIONS: DecisionsTopic(self.decisions),
            TOPIC_HEAL: self.heal_reports.topic,
        }
        self.mesh = MeshServer(self.observers.topics(topics))

    def _build_surface(self) -> None:
        """S3, the admin API and the pages of metrics."""
        self.surface = SurfaceSettings(
            region=self.settings.region,
            domains=self.settings.domains,
            host_id=dict(server_headers(self.formation.deployment)).get("X-Amz-Id-2", ""),
            origins=self.settings.cors_allow_origin,
        )
        health = SetHealth(self.sets.all, self.sets.classes)
        admin = self._admin(health)
        self.dispatcher = Dispatcher(
            self._services(),
            keys_of(self.identity.directory, time.time_ns),
            self.surface,
            health,
            authorise_with(self.access, self.buckets),
            self.identity.wait,
            AdminApi(admin),
            self.configuration.follow,
            self.observers.watch,
            Metrics(admin, lambda: self.settings.prometheus_auth == "public"),
            lambda: self.pages.generation(FROZEN) > 0,
        )
        self.live = LiveSettings(
            self.configuration, self.identity.directory, self.dispatcher, self.sets.all, self.sets.live_classes
        )
        self.live.apply()

    def _services(self) -> Services:
        return Services(
            self.buckets,
            self.objects,
            self.multipart,
            self.listing,
            self.purge,
            known_by(self.identity.directory),
            self.sts,
            self.decisions,
            ldap=LdapLogin(self.ldap, self.sts),
            ids=ids_by(self.identity.directory),
        )

    def _admin(self, health: SetHealth) -> AdminServices:
        secure = self.certificates is not None
        machine = MachineFacts(
            self.context,
            self.sets.all,
            self.sets.drives,
            self.sets.live_classes,
            health,
            secure,
            self.configuration.settings,
        )
        usage = Usage(self.sets.all)
        return AdminServices(
            self.identity,
            self.access,
            self.buckets,
            usage,
            machine,
            self.configuration.settings,
            self.configuration,
            observing=self.observers.observing(self._inside()),
            ldap=self.ldap,
            openid=self.sts.openid,
            decisions=self.decisions,
            insight=Insight(Simulator(self.identity, self.access, self.buckets), self.fleet),
        )

    def _inside(self) -> Inside:
        """What looks at the inside are given."""
        return Inside(self.buckets, self.listing, self.purge, RawRows(self.sets.all).of, self.heal_reports)

    def _root(self) -> Root:
        """The root credentials as they were at the start of the server: a reload does not change them."""
        settings = self.settings
        return Root(
            settings.root_user,
            settings.root_password,
            salt_of(self.formation.key),
            self.context.root_key,
            settings.root_user_old,
            settings.root_password_old,
        )

    def _ask_clients(self) -> None:
        """Whether client certificates are asked for, as the configuration has it."""
        if self.certificates is not None:
            self.certificates.ask_clients(certificates.asked_for(self.configuration.enabled(certificates.SUBSYSTEM)))

    def _step_done(self) -> None:
        self.trimmer.look()

    def _requests(self) -> int:
        return sum(server.shell.requests for server in self.servers)

    # -- life ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over the owned sets, then serve."""
        loop = asyncio.get_running_loop()
        # Sanic is loaded while the owners wait for their drives
        shell = loop.run_in_executor(self.back_pool, importlib.import_module, "sos.http.sanic_app")
        await asyncio.gather(shell, *(owner.start() for owner in self.sets.owners.values()))
        await self.mesh.start(self.context.mesh_socket)
        await self.jobs.start()
        await self.identity.start()
        self.configuration.look()
        self._ask_clients()
        for sock in self.context.api_sockets:
            app = sanic_app.make_app(
                self.dispatcher.handle,
                self.put_pool,
                self.get_pool,
                server_headers(self.formation.deployment),
                self._limits(),
                proxies=Proxies(self.settings.trusted_proxies),
            )
            self.servers.append(await sanic_app.serve(app, sock, self.certificates.context if self.certificates else None))
        self.trimmer.start()

    def _limits(self) -> Limits:
        settings = self.settings
        return Limits(
            connections_max=settings.connections_max,
            head_s=settings.head_timeout_s,
            idle_s=settings.idle_timeout_s,
            body_idle_s=settings.body_timeout_s,
            reply_idle_s=settings.body_timeout_s,
        )

    async def drain(self, timeout_s: float) -> None:
        """Finish what is under way, hand the sets over, close the drives."""
        self.dispatcher.stopping = True
        await asyncio.gather(*(server.drain(timeout_s) for server in self.servers))
        self.trimmer.stop()
        self.observers.stop()
        await self.identity.stop()
        await self.jobs.stop()
        self.ldap.close()
        if self.keeper is not None:
            await self.keeper.stop()
        await self.mesh.stop()
        for owner in self.sets.owners.values():
            await owner.stop()
        for peer in self.peers:
            peer.close()
        self.sets.close_writers()
        for pool in (self.put_pool, self.get_pool, self.work_pool, self.back_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        self.sets.close_drives()

    async def reload(self) -> None:
        """Take over new certificates; other settings that can change while serving are read where they are used."""
        self.settings = self.context.settings
        self.configuration.reload(self.settings, variables(os.environ))
        self.ldap.forget()  # trusts what is in the directory of certificates now
        if self.certificates is not None:
            self.certificates.reload()


async def start(context: WorkerContext) -> Worker:
    """The worker of the product; see ``sos.worker.context.Start``."""
    worker = Worker(context)
    await worker.start()
    log.info("worker %d serves (pid %d)", context.slot, os.getpid())
    return worker
