import {Component, onMounted, onWillUnmount, useRef, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

import {layoutFlow} from "./flow_layout";

const STATES = {
    in_progress: _t("in progress"),
    waiting: _t("waiting"),
    completed: _t("completed"),
    failed: _t("failed"),
    skipped: _t("skipped"),
};

/**
 * The tree of a procedure as a picture: steps, the answers they offer, and where
 * each leads; on a run with the path taken. Where the picture would not be
 * readable, on a telephone, the same is said as a list, which is also what a
 * screen reader gets.
 */
export class Flow extends Component {
    static template = "qms_sop.Flow";
    static props = {...standardFieldProps};

    setup() {
        this.root = useRef("root");
        this.state = useState({width: 0});
        const observer = new ResizeObserver(([{contentRect}]) => {
            this.state.width = contentRect.width;
        });
        onMounted(() => observer.observe(this.root.el));
        onWillUnmount(() => observer.disconnect());
    }

    get flow() {
        return this.props.record.data[this.props.name] || [];
    }

    get picture() {
        return layoutFlow(this.flow);
    }

    stateLabel(step) {
        return step.off_path && step.state === "skipped"
            ? _t("not on this path")
            : STATES[step.state];
    }

    targetLabel({target}) {
        const step = this.flow[target - 1];
        return step ? `${step.number}. ${step.name}` : _t("End");
    }
}

export const flow = {
    component: Flow,
    displayName: _t("Picture of a procedure"),
    supportedTypes: ["json"],
};

registry.category("fields").add("qms_flow", flow);
