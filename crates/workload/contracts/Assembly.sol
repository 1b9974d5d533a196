// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Votes of a DAO: stakes count for whoever they are delegated to, each once per proposal.
contract Assembly {
    struct Proposal {
        uint64 opensAt;
        uint64 closesAt;
        uint64 voters;
        bool reached;
        uint128 against;
        uint128 inFavour;
        uint128 abstained;
        uint128 quorum;
    }

    enum Choice {
        Against,
        InFavour,
        Abstain
    }

    mapping(address => uint256) public stakeOf;
    mapping(address => address) public delegateOf;
    /// Stakes delegated to an account, its own included unless it delegated them.
    mapping(address => uint256) public weightOf;
    mapping(uint256 => Proposal) public proposals;
    mapping(uint256 => mapping(address => bool)) public hasVoted;

    event DelegateChanged(address indexed account, address indexed from, address indexed to);
    event VoteCast(address indexed voter, uint256 indexed proposal, Choice choice, uint256 weight, string reason);
    event QuorumReached(uint256 indexed proposal, uint256 inFavour);

    error NotOpen(uint256 proposal);
    error AlreadyVoted();
    error NoWeight();

    function delegate(address to) external {
        address from = delegateOf[msg.sender];
        if (from == address(0)) from = msg.sender;
        uint256 stake = stakeOf[msg.sender];
        weightOf[from] -= stake;
        weightOf[to] += stake;
        delegateOf[msg.sender] = to;
        emit DelegateChanged(msg.sender, from, to);
    }

    function vote(uint256 proposal, Choice choice, string calldata reason) external {
        Proposal storage p = proposals[proposal];
        if (block.timestamp < p.opensAt || block.timestamp >= p.closesAt) revert NotOpen(proposal);
        if (hasVoted[proposal][msg.sender]) revert AlreadyVoted();
        uint128 weight = uint128(weightOf[msg.sender]);
        if (weight == 0) revert NoWeight();
        hasVoted[proposal][msg.sender] = true;
        p.voters += 1;
        if (choice == Choice.InFavour) p.inFavour += weight;
        else if (choice == Choice.Against) p.against += weight;
        else p.abstained += weight;
        emit VoteCast(msg.sender, proposal, choice, weight, reason);
        if (!p.reached && p.inFavour + p.abstained >= p.quorum && p.inFavour > p.against) {
            p.reached = true;
            emit QuorumReached(proposal, p.inFavour);
        }
    }
}
