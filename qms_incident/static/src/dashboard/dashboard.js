import {Component, onMounted, onWillStart, useState} from "@odoo/owl";
import {router} from "@web/core/browser/router";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {RPCError} from "@web/core/network/rpc";
import {KeepLast} from "@web/core/utils/concurrency";
import {useService} from "@web/core/utils/hooks";
import {pick} from "@web/core/utils/objects";
import {useSetupAction} from "@web/search/action_hook";
import {Layout} from "@web/search/layout";
import {standardActionServiceProps} from "@web/webclient/actions/action_service";
import {formatMinutes} from "@qms_sop/components/minutes/minutes";
import {FigureCard} from "./card";
import {MonthChart} from "./chart";
import {Ranking} from "./ranking";

const {DateTime} = luxon;

const PERIODS = [
    ["this_month", _t("This month")],
    ["last_month", _t("Last month")],
    ["last_90_days", _t("90 days")],
    ["last_12_months", _t("12 months")],
    ["custom", _t("From … to …")],
];
// The durations, and what each is called among the definitions
const DURATIONS = [
    ["detect", "mttd"],
    ["acknowledge", "mtta"],
    ["mitigate", "mttm"],
    ["resolve", "mttr"],
];
const CLOCKS = [
    ["response", _t("Response")],
    ["mitigation", _t("Mitigation")],
    ["resolution", _t("Resolution")],
];
// Minutes, hours and days that people count in
const MINUTE_STEPS = [
    1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 7200, 14400, 43200,
];
const COUNTED = ["counted", "=", true];

// What is asked for, and what the address of the page says
const START = {
    period: "last_90_days",
    since: false,
    until: false,
    severity: false,
    category: false,
};

/** Return what the address of the page asks for. */
function fromAddress() {
    const asked = pick(router.current, ...Object.keys(START));
    return Object.fromEntries(
        Object.entries(asked).filter(([, value]) => typeof value === "string")
    );
}

function percent(value) {
    return typeof value === "number" ? _t("%s %", Math.round(value)).toString() : "–";
}

function day(text) {
    return DateTime.fromISO(text).toLocaleString(DateTime.DATE_MED);
}

/** What incidents amount to: every figure says what it means and what it is made of. */
export class IncidentDashboard extends Component {
    static template = "qms_incident.Dashboard";
    static components = {FigureCard, Layout, MonthChart, Ranking};
    static props = {...standardActionServiceProps};

    setup() {
        this.action = useService("action");
        this.notification = useService("notification");
        this.orm = useService("orm");
        this.keepLast = new KeepLast();
        this.periods = PERIODS;
        this.durations = DURATIONS;
        this.minuteSteps = MINUTE_STEPS;
        this.display = {controlPanel: {}};
        this.filters = useState({
            ...START,
            ...fromAddress(),
            // Which duration the second chart shows
            duration: "resolve",
            ...this.props.state,
        });
        this.state = useState({data: null});
        useSetupAction({getLocalState: () => ({...this.filters})});
        onWillStart(() => this.begin());
        onMounted(() => this.tellAddress());
    }

    /** Show what the address asks for; whatever is wrong with it, show something. */
    async begin() {
        try {
            await this.load();
        } catch (error) {
            if (!(error instanceof RPCError)) {
                throw error;
            }
            this.notification.add(error.data.message, {type: "warning"});
            Object.assign(this.filters, START);
            await this.load();
        }
    }

    async load() {
        const asked = pick(this.filters, ...Object.keys(START));
        this.state.data = await this.keepLast.add(
            this.orm.call("qms.incident.report", "get_dashboard", [], asked)
        );
        this.tellAddress();
    }

    /** Have the address say what is shown, to be kept or sent to somebody. */
    tellAddress() {
        const own = this.filters.period === "custom";
        const asked = Object.keys(START).map((name) => [
            name,
            (own || !["since", "until"].includes(name)) && this.filters[name],
        ]);
        this.props.updateActionState?.(
            Object.fromEntries(asked.map(([name, value]) => [name, value || undefined]))
        );
    }

    get data() {
        return this.state.data;
    }

    get summary() {
        return this.data.summary;
    }

    get isEmpty() {
        const {incidents, apart} = this.summary;
        return !incidents && !apart.duplicate && !apart.false_positive;
    }

    get days() {
        const {since, until, before} = this.data;
        return _t("%(since)s – %(until)s, compared with %(before)s – %(last)s", {
            since: day(since),
            until: day(until),
            before: day(before.since),
            last: day(before.until),
        });
    }

    // --- Filters ---

    setPeriod(period) {
        if (period === "custom") {
            this.filters.since = this.data.since;
            this.filters.until = this.data.until;
        }
        this.filters.period = period;
        return this.load();
    }

    setDay(name, value) {
        if (!value) {
            return;
        }
        this.filters[name] = value;
        // The other end follows, rather than that the period is refused.
        const other = name === "since" ? "until" : "since";
        if (this.filters.since > this.filters.until) {
            this.filters[other] = value;
        }
        return this.load();
    }

    setChoice(name, value) {
        this.filters[name] = value || false;
        return this.load();
    }

    // --- Behind a figure ---

    /**
     * Show the incidents that a figure is made of.
     *
     * @param {string} name of the list
     * @param {Array} domain beside that of the period and the filters
     */
    async open(name, domain) {
        const action = await this.action.loadAction(
            "qms_incident.qms_incident_report_action"
        );
        return this.action.doAction(
            {
                ...action,
                name: name.toString(),
                display_name: name.toString(),
                domain: [...this.data.domain, ...domain],
                context: {},
            },
            {viewType: "list"}
        );
    }

    opener(name, ...domain) {
        return () => this.open(name, domain);
    }

    openReport() {
        return this.action.doAction("qms_incident.qms_incident_month_action", {
            additionalContext: {default_month: this.data.until.slice(0, 7)},
        });
    }

    openIncidents() {
        return this.action.doAction("qms_incident.qms_incident_action");
    }

    // --- Figures ---

    /** Say how a figure was in the period before, and whether it is better now. */
    before(now, then, format, lowerIsBetter) {
        const known = typeof now === "number" && typeof then === "number";
        return {
            text: (typeof then === "number"
                ? _t("Period before: %s", format(then))
                : _t("Nothing to compare with")
            ).toString(),
            rose: known && now > then,
            fell: known && now < then,
            better: known && now !== then ? now < then === lowerIsBetter : null,
        };
    }

    get durationCards() {
        const {definitions, before} = this.data;
        return DURATIONS.map(([name, code]) => {
            const figure = this.summary.durations[name];
            const field = `time_to_${name}`;
            const title = definitions[code].name;
            const known = {
                text: _t("%(known)s of %(total)s known", {
                    known: figure.known,
                    total: this.summary.incidents,
                }).toString(),
            };
            const gaps = ["pending", "unknown", "invalid", "not_applicable"]
                .filter((status) => figure[status])
                .map((status) => ({
                    text: `${figure[status]} ${definitions[status].name.toLowerCase()}`,
                    onOpen: this.opener(
                        `${title}: ${definitions[status].name}`,
                        [`${field}_status`, "=", status],
                        COUNTED
                    ),
                }));
            return {
                key: name,
                name: title,
                definition: definitions[code].definition,
                value: formatMinutes(figure.mean) || "–",
                note: this.durationNote(figure),
                onOpen: figure.known
                    ? this.opener(title, [`${field}_status`, "=", "known"], COUNTED)
                    : undefined,
                parts: this.summary.incidents ? [known, ...gaps] : [],
                before: this.before(
                    figure.mean,
                    before.durations[name].mean,
                    formatMinutes,
                    true
                ),
            };
        });
    }

    durationNote({known, median, p90}) {
        if (!this.summary.incidents) {
            return _t("No incident to measure").toString();
        }
        if (!known) {
            return _t("Known of no incident").toString();
        }
        return _t("Median %(median)s · 90 % within %(p90)s", {
            median: formatMinutes(median),
            p90: formatMinutes(p90),
        }).toString();
    }

    get countCards() {
        const {definitions, before} = this.data;
        const {incidents, apart, open, reopened, repeats, sla, actions, postmortems} =
            this.summary;
        const part = (count, text, ...domain) =>
            count ? [{text, onOpen: this.opener(text, ...domain)}] : [];
        const decided = sla.kept + sla.breached;
        const reviewed = postmortems.on_time + postmortems.late;
        return [
            {
                key: "incidents",
                ...definitions.incidents,
                value: String(incidents),
                onOpen: this.opener(definitions.incidents.name, COUNTED),
                note: _t("Detected in the period"),
                parts: [
                    ...part(open, _t("%s open", open), ["is_open", "=", true], COUNTED),
                    ...part(
                        reopened,
                        _t("%s reopened", reopened),
                        ["reopen_count", ">", 0],
                        COUNTED
                    ),
                    ...part(
                        apart.duplicate,
                        _t("Duplicates: %s (counted apart)", apart.duplicate),
                        ["state", "=", "duplicate"]
                    ),
                    ...part(
                        apart.false_positive,
                        _t("False positives: %s (counted apart)", apart.false_positive),
                        ["state", "=", "false_positive"]
                    ),
                ],
                before: this.before(incidents, before.incidents, String, true),
            },
            {
                key: "repeats",
                ...definitions.repeats,
                value: percent(repeats.percent),
                note: incidents
                    ? _t("%(repeats)s of %(total)s incidents", {
                          repeats: repeats.incidents,
                          total: incidents,
                      })
                    : _t("No incident to look at"),
                onOpen: this.opener(definitions.repeats.name, ["is_repeat", "=", true]),
                before: this.before(
                    repeats.percent,
                    before.repeats.percent,
                    percent,
                    true
                ),
            },
            {
                key: "sla",
                ...definitions.sla,
                value: percent(sla.percent),
                note: decided
                    ? _t("%(kept)s of %(decided)s that are decided", {
                          kept: sla.kept,
                          decided,
                      })
                    : _t("None is decided"),
                onOpen: this.opener(definitions.sla.name, [
                    "sla",
                    "in",
                    ["kept", "breached"],
                ]),
                parts: [
                    ...part(sla.breached, _t("%s breached", sla.breached), [
                        "sla",
                        "=",
                        "breached",
                    ]),
                    ...part(sla.pending, _t("%s still running", sla.pending), [
                        "sla",
                        "=",
                        "pending",
                    ]),
                    ...part(
                        sla.unknown + sla.invalid,
                        _t("%s not known", sla.unknown + sla.invalid),
                        ["sla", "in", ["unknown", "invalid"]]
                    ),
                    ...part(
                        sla.not_applicable,
                        _t("%s without a target", sla.not_applicable),
                        ["sla", "=", "not_applicable"],
                        COUNTED
                    ),
                ],
                before: this.before(sla.percent, before.sla.percent, percent, false),
            },
            {
                key: "actions",
                ...definitions.actions_done,
                value: percent(actions.percent),
                note: actions.raised
                    ? _t("%(done)s of %(raised)s that were raised", actions)
                    : _t("None was raised"),
                onOpen: this.opener(
                    definitions.actions.name,
                    ["actions_total", ">", 0],
                    COUNTED
                ),
                parts: [
                    ...part(
                        actions.on_time,
                        _t("%s done on time", actions.on_time),
                        ["actions_on_time", ">", 0],
                        COUNTED
                    ),
                    ...part(
                        actions.overdue,
                        _t("%s overdue", actions.overdue),
                        ["actions_overdue", ">", 0],
                        COUNTED
                    ),
                ],
                before: this.before(
                    actions.percent,
                    before.actions.percent,
                    percent,
                    false
                ),
            },
            {
                key: "postmortems",
                ...definitions.postmortems,
                value: percent(postmortems.percent),
                note: this.postmortemNote(postmortems, reviewed),
                onOpen: this.opener(
                    definitions.postmortems.name,
                    reviewed
                        ? ["postmortem", "in", ["on_time", "late"]]
                        : ["postmortem_required", "=", true],
                    COUNTED
                ),
                parts: [
                    ...part(
                        postmortems.late,
                        _t("%s late", postmortems.late),
                        ["postmortem", "=", "late"],
                        COUNTED
                    ),
                    ...part(
                        postmortems.pending,
                        _t("%s to write", postmortems.pending),
                        ["postmortem", "=", "pending"],
                        COUNTED
                    ),
                    ...part(
                        postmortems.unknown,
                        _t("%s only linked to", postmortems.unknown),
                        ["postmortem", "=", "unknown"],
                        COUNTED
                    ),
                ],
                before: this.before(
                    postmortems.percent,
                    before.postmortems.percent,
                    percent,
                    false
                ),
            },
        ].map((card) => ({
            ...card,
            note: card.note.toString(),
            parts: (card.parts || []).map(({text, onOpen}) => ({
                text: text.toString(),
                onOpen,
            })),
        }));
    }

    postmortemNote({required, on_time: onTime}, reviewed) {
        if (!required) {
            return _t("None was required");
        }
        return reviewed
            ? _t("%(onTime)s of %(reviewed)s that are decided", {onTime, reviewed})
            : _t("None of %s is decided", required);
    }

    // --- Charts ---

    get monthLabels() {
        const months = this.summary.months.map(({month}) => DateTime.fromISO(month));
        const many = months.length > 6;
        return months.map((month) => month.toFormat(many ? "LLL yy" : "LLLL yyyy"));
    }

    get severitySeries() {
        const {months, by_severity: severities} = this.summary;
        const series = severities.map(({code, name}) => ({
            key: code || "none",
            label: name || _t("Not said").toString(),
        }));
        const {colours} = this.data;
        return series.map((one) => ({
            ...one,
            colour: colours[one.key] || colours.plain,
            values: months.map(({by_severity: counts}) => counts[one.key] || 0),
        }));
    }

    get durationSeries() {
        const {duration} = this.filters;
        const [, code] = DURATIONS.find(([name]) => name === duration);
        return [
            {
                key: duration,
                label: this.data.definitions[code].name,
                definition: this.data.definitions[code].definition,
                colour: this.data.colours.plain,
                values: this.summary.months.map(({durations}) => {
                    const {mean} = durations[duration];
                    return typeof mean === "number" ? mean : null;
                }),
            },
        ];
    }

    /** Return the days of a month, as conditions. */
    monthDomain(index) {
        const first = DateTime.fromISO(this.summary.months[index].month);
        return [
            ["day", ">=", first.toISODate()],
            ["day", "<", first.plus({months: 1}).toISODate()],
            COUNTED,
        ];
    }

    openMonth(index, severity) {
        const found = this.summary.by_severity.find(
            ({code}) => (code || "none") === severity
        );
        return this.open(
            `${this.monthLabels[index]}, ${found.name || _t("severity not said")}`,
            [...this.monthDomain(index), ["severity_id", "=", found.id]]
        );
    }

    openMonthDuration(index, name) {
        const [, code] = DURATIONS.find(([one]) => one === name);
        return this.open(
            `${this.data.definitions[code].name}, ${this.monthLabels[index]}`,
            [...this.monthDomain(index), [`time_to_${name}_status`, "=", "known"]]
        );
    }

    formatMinutes(value) {
        return formatMinutes(value) || "0";
    }

    get durationDefinition() {
        return this.durationSeries[0].definition;
    }

    get durationTitle() {
        return _t("%s by month", this.durationSeries[0].label).toString();
    }

    get severityTitle() {
        return _t("Incidents by month and severity").toString();
    }

    get noneText() {
        return _t("None").toString();
    }

    // --- Rankings ---

    ranking(groups, field, blank, label) {
        return groups.map((group) => {
            const text = group.code ? label(group) : blank.toString();
            return {
                key: group.code || "",
                label: text,
                value: group.incidents,
                colour: this.data.colours.plain,
                onOpen: this.opener(
                    text,
                    [field, "=", field === "sop_code" ? group.code : group.id],
                    COUNTED
                ),
            };
        });
    }

    get rankings() {
        const {
            by_severity: severities,
            by_category: categories,
            by_error_code: codes,
            by_sop: sops,
        } = this.summary;
        const {colours} = this.data;
        const name = (group) => group.name;
        const code = (group) => group.code;
        return [
            {
                key: "severity",
                name: _t("By severity"),
                rows: this.ranking(severities, "severity_id", _t("Not said"), name).map(
                    (row) => ({
                        ...row,
                        colour: colours[row.key || "none"] || row.colour,
                    })
                ),
            },
            {
                key: "category",
                name: _t("By category"),
                rows: this.ranking(categories, "category_id", _t("Not said"), name),
            },
            {
                key: "error_code",
                name: _t("By error code"),
                rows: this.ranking(codes, "error_code_id", _t("No error code"), code),
            },
            {
                key: "sop",
                name: _t("By SOP of the first run"),
                rows: this.ranking(sops, "sop_code", _t("Without a run"), (group) =>
                    [group.code, group.name].filter(Boolean).join(" ")
                ),
            },
        ].map((one) => ({...one, name: one.name.toString()}));
    }

    get targets() {
        const {targets} = this.summary.sla;
        return CLOCKS.map(([clock, name]) => {
            const {kept, breached, percent: share} = targets[clock];
            return {
                clock,
                name,
                kept,
                breached,
                share: percent(share),
                onKept: this.opener(_t("%s: kept", name), [
                    `sla_${clock}`,
                    "=",
                    "kept",
                ]),
                onBreached: this.opener(_t("%s: breached", name), [
                    `sla_${clock}`,
                    "=",
                    "breached",
                ]),
            };
        });
    }

    get definitions() {
        return Object.entries(this.data.definitions).map(([code, one]) => ({
            code,
            ...one,
        }));
    }
}

registry.category("actions").add("qms_incident.dashboard", IncidentDashboard);
