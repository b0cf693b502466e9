import {Component} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {toLocaleDateTimeString} from "@web/core/l10n/dates";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {formatMinutes} from "@qms_sop/components/minutes/minutes";
import {CLOCKS, clockAt, sayRemaining, useClocks} from "./clock_time";

const {DateTime} = luxon;

const NAMES = {
    response: _t("Response"),
    mitigation: _t("Mitigation"),
    resolution: _t("Root-cause fix"),
};
const STATES = {
    not_applicable: _t("No target"),
    met: _t("Met"),
    paused: _t("Paused"),
    running: _t("Running"),
    at_risk: _t("At risk"),
    breached: _t("Breached"),
};

const CLOCKS_FIELD = [{name: "clocks", type: "json"}];

/** Show a moment as this user reads it, in the zone of the user. */
function local(text) {
    return text
        ? toLocaleDateTimeString(DateTime.fromISO(text), {showSeconds: false})
        : "";
}

/** The clock that runs out next, of a run in a list or on a card. */
export class ClockField extends Component {
    static template = "qms_sop.Clock";
    static props = {...standardFieldProps};

    setup() {
        this.clock = useClocks(this, (clocks, now) => {
            const waiting = CLOCKS.filter(
                (name) => clocks[name].remaining_minutes !== null
            ).sort((a, b) => clocks[a].remaining_minutes - clocks[b].remaining_minutes);
            if (!waiting.length) {
                return {name: "", state: "", text: "", hint: ""};
            }
            const [name] = waiting;
            const {state, remaining} = clockAt(clocks[name], clocks.now, now);
            return {
                name: NAMES[name].toString(),
                state,
                text: sayRemaining(remaining),
                hint: (state === "paused"
                    ? _t("On hold: the clock stands still")
                    : _t("By %s", local(clocks[name].deadline))
                ).toString(),
            };
        });
    }
}

export const clockField = {
    component: ClockField,
    displayName: _t("Time left until the next deadline"),
    supportedTypes: ["datetime"],
    fieldDependencies: CLOCKS_FIELD,
};

registry.category("fields").add("qms_clock", clockField);

/** One of the three clocks of a run, on its form. */
export class ClockTileField extends Component {
    static template = "qms_sop.ClockTile";
    static props = {...standardFieldProps};

    setup() {
        const name = this.props.name.replace(/_sla$/, "");
        this.title = NAMES[name];
        this.clock = useClocks(this, (clocks, now) => {
            const clock = clocks[name];
            const {state, remaining} = clockAt(clock, clocks.now, now);
            const share = clock.minutes ? 100 * (1 - remaining / clock.minutes) : 0;
            return {
                state,
                label: STATES[state].toString(),
                text: this.say(clock, state, remaining),
                hint: this.hint(clock, state),
                used: remaining === null ? null : Math.min(Math.max(share, 0), 100),
            };
        });
    }

    say(clock, state, remaining) {
        if (remaining !== null) {
            return sayRemaining(remaining);
        }
        if (clock.stopped_at) {
            return _t("after %s", formatMinutes(clock.taken_minutes)).toString();
        }
        return "";
    }

    hint(clock, state) {
        if (state === "paused") {
            return _t("stands still while on hold").toString();
        }
        return clock.deadline ? _t("by %s", local(clock.deadline)).toString() : "";
    }
}

export const clockTileField = {
    component: ClockTileField,
    displayName: _t("SLA clock"),
    supportedTypes: ["selection"],
    fieldDependencies: CLOCKS_FIELD,
};

registry.category("fields").add("qms_clock_tile", clockTileField);
